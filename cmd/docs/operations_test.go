// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor"
)

func read(t *testing.T, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{root}, parts...)...))
	require.NoError(t, err)
	return string(b)
}

// settings are the keys of a configuration, as users write them: rca::limits::spans.
func settings(of reflect.Type, at string, into map[string]bool) {
	for f := range of.Fields() {
		key, squash := strings.CutSuffix(f.Tag.Get("mapstructure"), ",squash")
		switch {
		case squash:
			settings(f.Type, at, into)
			continue
		case f.Type.Kind() == reflect.Struct:
			settings(f.Type, at+"::"+key, into)
		}
		into[at+"::"+key] = true
	}
}

// Each metric, label, value and setting that the page sends people to exists.
func TestOperationsNamesWhatExists(t *testing.T) {
	page := read(t, "docs", "operations.md")
	metrics := map[string]string{} // by name: the section about it
	sources := map[string]string{}
	for _, name := range []string{"breaker", "rca"} {
		dir := filepath.Join("processor", name+"processor")
		for _, section := range strings.Split(read(t, dir, "documentation.md"), "\n### ")[1:] {
			metric, text, _ := strings.Cut(section, "\n")
			metrics[metric] = text
		}
		for _, file := range []string{"telemetry.go", "processor.go", "metadata.yaml"} {
			sources[name] += read(t, dir, file)
		}
		sources[name] += read(t, "internal", "call", "call.go")
	}
	sources["rca"] += read(t, "processor", "rcaprocessor", "storage.go") + read(t, "processor", "rcaprocessor", "hold.go")
	sources["breaker"] += read(t, "processor", "breakerprocessor", "internal", "decision", "event.go")

	named := regexp.MustCompile(`otelcol_processor_(rca|breaker)_[a-z_]+(\{([a-z]+)="([a-z_]+)"\})?`).FindAllStringSubmatch(page, -1)
	require.Greater(t, len(named), 40)
	for _, m := range named {
		metric, _, _ := strings.Cut(m[0], "{")
		if !assert.Contains(t, metrics, metric) || m[3] == "" {
			continue
		}
		assert.Contains(t, metrics[metric], "\n| "+m[3]+" |", "a label of %s", metric)
		assert.Regexp(t, `"`+m[4]+`"|enum: \[[^\]]*\b`+m[4]+`\b`, sources[m[1]], "%s: %s is no value", m[0], m[4])
	}
	for _, m := range regexp.MustCompile("`(reason|limit|outcome)=\"([a-z_]+)\"`").FindAllStringSubmatch(page, -1) {
		assert.Contains(t, sources["rca"], `"`+m[2]+`"`, m[0])
	}

	keys := map[string]bool{}
	settings(reflect.TypeFor[rcaprocessor.Config](), "rca", keys)
	settings(reflect.TypeFor[breakerprocessor.Config](), "breaker", keys)
	used := regexp.MustCompile("`([a-z_]+(?:::[a-z_]+)+)`").FindAllStringSubmatch(page, -1)
	require.Greater(t, len(used), 25)
	for _, m := range used {
		assert.True(t, keys[m[1]] || keys["rca::"+m[1]], "%s is no setting", m[1])
	}
}

// Each page that is linked to, each target of make, and each test that is named exists.
func TestOperationsLeadsSomewhere(t *testing.T) {
	page, makefile := read(t, "docs", "operations.md"), read(t, "Makefile")
	headings := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^##+ (.*)$`).FindAllStringSubmatch(page, -1) {
		headings["#"+anchor(m[1])] = true
	}
	for _, m := range regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`).FindAllStringSubmatch(page, -1) {
		if m[1] == "" {
			assert.True(t, headings[m[2]], "no heading %s", m[2])
			continue
		}
		text := read(t, "docs", filepath.FromSlash(m[1]))
		if m[2] != "" {
			found := false
			for _, h := range regexp.MustCompile(`(?m)^##+ (.*)$`).FindAllStringSubmatch(text, -1) {
				found = found || "#"+anchor(h[1]) == m[2]
			}
			assert.True(t, found, "no heading %s in %s", m[2], m[1])
		}
	}
	for _, m := range regexp.MustCompile("`make ([a-z-]+)").FindAllStringSubmatch(page, -1) {
		assert.Contains(t, makefile, "\n"+m[1]+":")
	}
	tests := ""
	files, err := filepath.Glob(filepath.Join(root, "processor", "rcaprocessor", "internal", "engine", "*_test.go"))
	require.NoError(t, err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		tests += string(b)
	}
	for _, m := range regexp.MustCompile(`-(?:run|bench) '?([A-Z][A-Za-z|]+)`).FindAllStringSubmatch(page, -1) {
		for _, name := range strings.Split(m[1], "|") {
			if name != "XXX" {
				assert.Regexp(t, `func (Benchmark)?`+name+`\(`, tests)
			}
		}
	}
}

func anchor(heading string) string {
	return strings.ReplaceAll(strings.ToLower(regexp.MustCompile(`[^A-Za-z0-9 _-]`).ReplaceAllString(heading, "")), " ", "-")
}
