// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// telemetryCase says what is to be made of spans.
type telemetryCase struct {
	ID, Title     string
	Given, Expect json.RawMessage
}

// runners put a case to the processor. They are told apart by the shape of what is given, so that a file with other
// numbers, or with more cases, is judged by what it says.
var runners = map[string]func(*testing.T, telemetryCase) error{
	"{attrs,kind,status}":       conformSpan,
	"[http status]":             conformHTTP,
	"[grpc status]":             conformGRPC,
	"[sqlstate]":                conformSQLState,
	"[threshold]":               conformWeights,
	"{trace}":                   conformOrigin,
	"{child,parent}":            conformAbsorbed,
	"{min_calls,spans}":         conformMinimum,
	"{end_ms,now_ms,window_ms}": conformTime,
	"{same_span_id,spans}":      conformDuplicate,
	"{spans} of [kind]":         conformPair,
	"{spans} of [interval]":     conformInFlight,
	"{caller_instances,failing_instances,rate_on_it}":      conformQuorum,
	"{callee_instances,failing}":                           conformEject,
	"{rates}":                                              conformHysteresis,
	"{observed_after_wait,state}":                          conformAfterWait,
	"{age_ms,decision,ttl_ms}":                             conformExpiry,
	"{edges,max_open_share,new,open}":                      conformCap,
	"{mode}":                                               conformObserve,
	"{rate,uptime_ms,window_ms}":                           conformWarmUp,
	"{baseline_per_s,caller_server_spans_per_s,now_per_s}": conformStall,
	"{producer,time_in_queue_ms_growth}":                   conformBacklog,
	"{idle_ms,state}":                                      conformIdle,
}

var (
	sqlState  = regexp.MustCompile(`^[0-9][0-9A-Z]{4}$`)
	threshold = regexp.MustCompile(`^[0-9a-f]{1,14}$`)
	knownCase = regexp.MustCompile(`^H(0[1-9]|[12][0-9]|30)$`)
)

// shape tells what kind of input a case is.
func shape(given json.RawMessage) string {
	var object map[string]json.RawMessage
	if json.Unmarshal(given, &object) == nil {
		var keys []string
		for k := range object {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		s := "{" + strings.Join(keys, ",") + "}"
		if s == "{spans}" {
			var kinds []string
			if s += " of [kind]"; json.Unmarshal(object["spans"], &kinds) != nil {
				s = "{spans} of [interval]"
			}
		}
		return s
	}
	var numbers []int
	if json.Unmarshal(given, &numbers) == nil {
		return "[http status]"
	}
	var words []*string
	if json.Unmarshal(given, &words) != nil {
		return string(given)
	}
	all := func(is func(string) bool) bool {
		return !slices.ContainsFunc(words, func(w *string) bool { return w != nil && !is(*w) })
	}
	switch _, grpc := grpcCodes[first(words)]; {
	case grpc:
		return "[grpc status]"
	case all(sqlState.MatchString):
		return "[sqlstate]"
	case all(threshold.MatchString):
		return "[threshold]"
	}
	return string(given)
}

func first(words []*string) string {
	if i := slices.IndexFunc(words, func(w *string) bool { return w != nil }); i >= 0 {
		return *words[i]
	}
	return ""
}

// conformanceFiles are ours, and one that FIREBREAK_CONFORMANCE names.
func conformanceFiles() map[string]string {
	files := map[string]string{"own": filepath.Join("testdata", "conformance.json")}
	if name := os.Getenv("FIREBREAK_CONFORMANCE"); name != "" {
		files["given"] = name
	}
	return files
}

// What is made of spans, through a processor that the factory built wherever the case is not about a plain value. The
// cases of breakers, of ejection and of retries run beside what they are about: internal/circuit, outlier and retry.
func TestConformance(t *testing.T) {
	for label, name := range conformanceFiles() {
		cases := readCases(t, name)
		for _, c := range cases {
			t.Run(label+"/"+c.ID, func(t *testing.T) {
				t.Log(c.Title)
				run := runners[shape(c.Given)]
				if run == nil {
					require.NotRegexp(t, knownCase, c.ID, "given is not what it was: %s", c.Given)
					t.Skipf("NOT RUN, given says nothing that is known here: %s", c.Given)
				}
				assert.NoError(t, run(t, c))
			})
		}
		if label == "own" {
			assert.Len(t, cases, 30)
		}
	}
}

// A case that asks for something else, or is given something else, does not hold.
func TestConformanceCanFail(t *testing.T) {
	cases := map[string]telemetryCase{}
	for _, c := range readCases(t, filepath.Join("testdata", "conformance.json")) {
		cases[c.ID] = c
	}
	for id, wrong := range map[string]struct{ given, expect string }{
		"H01": {expect: `"fail"`},
		"H02": {`[404]`, `["fail"]`},
		"H03": {`["NOT_FOUND"]`, `["fail"]`},
		"H04": {`["23505"]`, `["fail"]`},
		"H05": {expect: `"ignored"`},
		"H06": {expect: `"ok"`},
		"H07": {expect: `{"charged": "orders->payments", "propagated": ["gateway->orders"]}`},
		"H08": {expect: `{"propagated": true, "contained": false}`},
		"H09": {`["8"]`, `[4]`},
		"H10": {expect: `"open"`},
		"H11": {expect: `"counted in the 45 s bucket"`},
		"H12": {expect: `"counted in the 52 s bucket"`},
		"H13": {expect: `"late_dropped"`},
		"H14": {expect: `2`},
		"H15": {expect: `2`},
		"H16": {expect: `{"caller": "orders"}`},
		"H17": {given: `{"caller_instances": 10, "failing_instances": 9, "rate_on_it": 1.0}`},
		"H18": {expect: `{"edge": "closed", "eject": 2}`},
		"H19": {expect: `["open", "open", "closed", "closed"]`},
		"H20": {given: `{"state": "open", "observed_after_wait": {"calls": 200, "rate": 0.6}}`},
		"H21": {given: `{"state": "open", "observed_after_wait": {"calls": 200, "rate": 0.02}}`},
		"H22": {expect: `"closed"`},
		"H23": {given: `{"decision": "open", "ttl_ms": 15000, "age_ms": 15000}`},
		"H24": {given: `{"edges": 10, "open": 3, "max_open_share": 0.4, "new": "would open"}`},
		"H25": {expect: `{"decision": null, "event": "breaker.state_changed", "enforced": true}`},
		"H26": {given: `{"uptime_ms": 15000, "window_ms": 10000, "rate": 1.0}`},
		"H27": {given: `{"baseline_per_s": 100, "now_per_s": 90, "caller_server_spans_per_s": 100}`},
		"H28": {given: `{"producer": "ok", "time_in_queue_ms_growth": false}`},
		"H29": {expect: `3`},
		"H30": {expect: `"kept for ever"`},
	} {
		c, ok := cases[id]
		require.True(t, ok, id)
		if wrong.given != "" {
			c.Given = json.RawMessage(wrong.given)
		}
		if wrong.expect != "" {
			c.Expect = json.RawMessage(wrong.expect)
		}
		require.NotNil(t, runners[shape(c.Given)], id)
		err := runners[shape(c.Given)](t, c)
		assert.Error(t, err, id)
		t.Log(id, err)
	}
	assert.NotContains(t, runners, shape(json.RawMessage(`{"colour": "red"}`)))
	assert.NotContains(t, runners, shape(json.RawMessage(`["red"]`)))
	assert.NotContains(t, runners, shape(json.RawMessage(`1`)))
}

func readCases(t *testing.T, name string) []telemetryCase {
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	var file struct {
		Cases []telemetryCase `json:"telemetry_cases"`
	}
	require.NoError(t, json.Unmarshal(text, &file), name)
	return file.Cases
}

// read decodes what a case says.
func read[T any](t *testing.T, text json.RawMessage) (v T) {
	t.Helper()
	require.NoError(t, json.Unmarshal(text, &v), "%s", text)
	return v
}

// pairs runs f for each input and what is expected of it.
func pairs[G, E any](t *testing.T, c telemetryCase, f func(t *testing.T, given G, want E) error) error {
	given, want := read[[]G](t, c.Given), read[[]E](t, c.Expect)
	require.NotEmpty(t, given)
	require.Len(t, want, len(given))
	var errs []error
	for i := range given {
		if err := f(t, given[i], want[i]); err != nil {
			text, _ := json.Marshal(given[i])
			errs = append(errs, fmt.Errorf("%s: %w", text, err))
		}
	}
	return errors.Join(errs...)
}
