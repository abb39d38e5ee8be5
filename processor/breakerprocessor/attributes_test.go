// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/firebreak-otel/firebreak/internal/keys"
	"github.com/firebreak-otel/firebreak/internal/replay"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/decision"
)

// Each constant is in the table, once.
func TestEachKeyIsInTheTable(t *testing.T) {
	var want, got []string
	for _, m := range regexp.MustCompile(`= "(breaker\.[a-z_.]+)"`).FindAllStringSubmatch(textOf(t, "attributes.go"), -1) {
		want = append(want, m[1])
	}
	for _, k := range Attributes() {
		got = append(got, k.Name)
		assert.NotEmpty(t, k.Meaning, k.Name)
		assert.NotEmpty(t, k.Example, k.Name)
	}
	assert.ElementsMatch(t, want, got)
}

// What each event record has is what the table says: all it may have, when all is known.
func TestTheTableOfEventRecords(t *testing.T) {
	full := decision.Advice{
		Edge: decision.Edge{Name: "a->b", Operation: "GET"}, State: circuit.Open.String(), Advice: decision.Reject, SlowRatio: .5, Since: 1, Until: 2,
		ConcurrencyLimit: 3, InFlight: 4, InFlightMax: 5, Eject: []string{"b-1"}, DegradedCallers: []string{"a-1"},
		Retries: decision.Retries{Layer: "a->b"}, Effects: decision.Effects{Entries: .5, Upstreams: []string{"a"}},
	}
	for _, e := range Events() {
		t.Run(e.Name, func(t *testing.T) {
			m := pcommon.NewMap()
			eventAttributes(&decision.Event{Name: e.Name, Advice: full, Previous: "closed"}, m)
			assert.Empty(t, keys.Check(Attributes(), "breaker.", keys.Events, m))
			for _, k := range Attributes() {
				_, has := m.Get(k.Name)
				switch k.Name {
				case keyOver:
					assert.Equal(t, e.Name != decision.StateChanged && e.Name != decision.Suppressed, has, k.Name)
				case keyReason:
					assert.Equal(t, e.Name == decision.StateChanged || e.Name == decision.Suppressed, has, k.Name)
				default:
					assert.Equal(t, k.In&keys.Events != 0 && (k.Only == "" || k.Only == e.Name), has, k.Name)
				}
			}
		})
	}
}

// What a recorded incident gets written is what the table says.
func TestTheTableOfARecording(t *testing.T) {
	in, err := replay.Load(recordings + "/postgres-lock")
	require.NoError(t, err)
	p := replayed(t, in, replay.Options{})
	var wrong []string
	spans, logs := 0, 0
	for _, td := range p.traces.AllTraces() {
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, s := range ss.Spans().All() {
					spans += len(breakerAttributes(s.Attributes()))
					wrong = append(wrong, keys.Check(Attributes(), "breaker.", keys.Spans, s.Attributes())...)
				}
			}
		}
	}
	for _, ld := range p.logs.AllLogs() {
		for _, rl := range ld.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, lr := range sl.LogRecords().All() {
					at := keys.Logs
					if lr.EventName() != "" {
						at = keys.Events
					}
					logs += len(breakerAttributes(lr.Attributes()))
					wrong = append(wrong, keys.Check(Attributes(), "breaker.", at, lr.Attributes())...)
				}
			}
		}
	}
	assert.Empty(t, wrong)
	assert.Positive(t, spans)
	assert.Positive(t, logs)
}
