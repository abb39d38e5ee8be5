// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A file outside the repository goes through both processors, and comes out as a table and as JSON.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	base, err := filepath.Abs("../../testdata/scenarios/base.yaml")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mine.yaml"), []byte("base: "+relative(t, dir, base)+`
name: mine
warmup: 90s
duration: 60s
faults: [{kind: down, target: postgresql/orders}]
truth: {roots: [{node: postgresql/orders, kind: [unreachable, database]}]}
axes: {rate: [20]}
`), 0o600))
	out := filepath.Join(dir, "out.json")
	var table bytes.Buffer
	require.NoError(t, run(t.Context(), options{files: filepath.Join(dir, "*.yaml"), seeds: 2, parallel: 2, out: out}, &table))

	data, err := os.ReadFile(out)
	require.NoError(t, err)
	var got struct {
		Summary map[string]any
		Runs    []map[string]any
	}
	require.NoError(t, json.Unmarshal(data, &got))
	require.Len(t, got.Runs, 2)
	for i, r := range got.Runs {
		keys := []string{}
		for k := range r {
			keys = append(keys, k)
		}
		assert.ElementsMatch(t, []string{
			"scenario", "seed", "axes", "expected", "named", "kind", "rank", "confidence", "detected_after_s", "right_after_s", "false_incidents", "pass",
		}, keys)
		assert.Equal(t, "mine", r["scenario"])
		assert.EqualValues(t, i+1, r["seed"])
		assert.Equal(t, []any{"postgresql/orders"}, r["expected"])
		assert.Equal(t, []any{"postgresql/orders"}, r["named"])
		assert.Equal(t, true, r["pass"])
	}
	assert.EqualValues(t, 2, got.Summary["passed"])
	lines := strings.Split(strings.TrimSpace(table.String()), "\n")
	assert.Contains(t, lines[0], "expected")
	assert.Contains(t, lines[len(lines)-1], "2 of 2 runs right")
}

func relative(t *testing.T, dir, to string) string {
	rel, err := filepath.Rel(dir, to)
	require.NoError(t, err)
	return rel
}

func TestRunSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	assert.ErrorContains(t, run(t.Context(), options{files: filepath.Join(dir, "*.yaml")}, nil), "no file matches")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("nmae: x\n"), 0o600))
	assert.ErrorContains(t, run(t.Context(), options{files: filepath.Join(dir, "*.yaml")}, nil), "field nmae not found")
}
