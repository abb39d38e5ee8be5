// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/firebreak-otel/firebreak/internal/keys"
	"github.com/firebreak-otel/firebreak/internal/replay"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// Each constant is in a table, once.
func TestEachKeyIsInTheTable(t *testing.T) {
	b, err := os.ReadFile("attributes.go")
	require.NoError(t, err)
	var want, got []string
	for _, m := range regexp.MustCompile(`= "((?:rca\.|@jaeger@)[a-z_.]+)"`).FindAllStringSubmatch(string(b), -1) {
		want = append(want, m[1])
	}
	for _, k := range Attributes() {
		got = append(got, k.Name)
		assert.NotEmpty(t, k.Meaning, k.Name)
		assert.NotEmpty(t, k.Example, k.Name)
	}
	for _, e := range Events() {
		got = append(got, e.Name)
	}
	assert.ElementsMatch(t, want, got)
}

// What each event record has is what the table says: all it may have, when all is known.
func TestTheTableOfEventRecords(t *testing.T) {
	v := incident.Verdict{
		Root: "b", Kind: "service", Reason: "errors", Cause: "code_error", Instance: "b-1", Version: "2", Host: "h", Zone: "z",
		Path: []string{"a", "b"}, Ranked: []incident.Ranked{{Node: "b", Score: 1}}, Trigger: "traffic",
	}
	for state, e := range Events() {
		t.Run(e.Name, func(t *testing.T) {
			in := incident.Incident{ID: "b-0", State: incident.State(state), Onset: dawn, Resolved: dawn + 60*second, Verdict: v}
			ev := eventOf(&in, new(breakers))
			assert.Equal(t, e.Name, ev.Name)
			assert.Equal(t, e.Severity, map[int]string{9: "INFO", 13: "WARN", 17: "ERROR"}[int(ev.Severity)])
			m := pcommon.NewMap()
			ev.Attributes(m)
			assert.Empty(t, keys.Check(Attributes(), "rca.", keys.Events, m))
			for _, k := range Attributes() {
				_, has := m.Get(k.Name)
				assert.Equal(t, k.In&keys.Events != 0 && (k.Only == "" || k.Only == e.Name), has, k.Name)
			}
		})
	}
}

// What a recorded incident gets written is what the table says.
func TestTheTableOfARecording(t *testing.T) {
	in, err := replay.Load("../../testdata/incidents/postgres-lock")
	require.NoError(t, err)
	p := replayed(t, in, replay.Options{})
	var wrong []string
	spans, logs := 0, 0
	check := func(at keys.Place, m pcommon.Map) int {
		wrong = append(wrong, keys.Check(Attributes(), "rca.", at, m)...)
		if _, ok := m.Get(keyIncidentID); ok {
			return 1
		}
		return 0
	}
	for _, td := range p.traces.AllTraces() {
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, s := range ss.Spans().All() {
					spans += check(keys.Spans, s.Attributes())
				}
			}
		}
	}
	for _, ld := range p.logs.AllLogs() {
		for _, rl := range ld.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, lr := range sl.LogRecords().All() {
					if lr.EventName() != "" {
						check(keys.Events, lr.Attributes())
					} else {
						logs += check(keys.Logs, lr.Attributes())
					}
				}
			}
		}
	}
	assert.Empty(t, wrong)
	assert.Positive(t, spans)
	assert.Positive(t, logs)
}
