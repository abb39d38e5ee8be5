// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func textOf(t *testing.T, file string) string {
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(b)
}

// configKeys are the configuration's keys, as users write them: slow::ratio.
func configKeys(of reflect.Type, at string) (out []string) {
	for i := range of.NumField() {
		f := of.Field(i)
		key, squash := strings.CutSuffix(f.Tag.Get("mapstructure"), ",squash")
		switch {
		case squash:
			out = append(out, configKeys(f.Type, at)...)
		case f.Type.Kind() == reflect.Struct:
			out = append(out, configKeys(f.Type, at+key+"::")...)
		case f.Type.Kind() == reflect.Slice:
			out = append(out, at+key)
			out = append(out, configKeys(f.Type.Elem(), "")...)
		default:
			out = append(out, at+key)
		}
	}
	return out
}

// The README explains each key of the configuration, each attribute and each reason; the example of all keys sets each.
func TestDocumentation(t *testing.T) {
	readme, example := textOf(t, "README.md"), textOf(t, "testdata/config.yaml")
	for _, key := range configKeys(reflect.TypeFor[Config](), "") {
		assert.Contains(t, readme, "`"+key+"`")
		assert.Contains(t, example, key[strings.LastIndex(key, ":")+1:]+":")
	}
	attributes := regexp.MustCompile(`"breaker(\.[a-z_.]+)"`).FindAllStringSubmatch(textOf(t, "attributes.go"), -1)
	require.Greater(t, len(attributes), 30)
	for _, a := range attributes {
		assert.Regexp(t, "`(breaker)?"+regexp.QuoteMeta(a[1])+"`", readme)
	}
	// Each metric that the README sends people to exists.
	metrics := textOf(t, "metadata.yaml")
	for _, m := range []string{"state", "tracked", "findings", "trace_looks", "limit_hits", "settling", "spans_skipped", "late_spans", "obedience", "events_lost", "panics", "transitions"} {
		assert.Contains(t, readme, m)
		assert.Contains(t, metrics, "processor_breaker_"+m+":")
	}
	for _, reason := range []string{
		"failure_rate", "fast_failure_rate", "failure_load", "still_failing", "recovered", "forgotten", "consecutive", "failure_count",
		"slow_rate", "probe_timeout", "manual", "only_failures", "deeper_open", "caller_side", "instance_side", "max_open_share",
	} {
		assert.Contains(t, readme, "`"+reason+"`")
	}
}
