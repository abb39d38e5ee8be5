// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

var db = Edge{Name: "orders->postgresql/shop", Caller: "orders", Callee: "postgresql/shop", Kind: "database"}

func TestFor(t *testing.T) {
	for s, want := range map[circuit.State]string{
		circuit.Closed: Allow, circuit.Open: Reject, circuit.HalfOpen: Probe, circuit.ForcedOpen: Reject, circuit.Disabled: Allow,
	} {
		assert.Equal(t, want, For(s), s.String())
	}
}

// H23: an advice that nobody renews is none.
func TestAdmitAt(t *testing.T) {
	a := Advice{AdmitShare: 0.1, Expires: 1000}
	for now, want := range map[int64]float64{0: 0.1, 999: 0.1, 1000: 0.1, 1001: 1, 1 << 62: 1} {
		assert.InDelta(t, want, a.AdmitAt(now), 0, "%d", now)
	}
	var none Advice
	assert.InDelta(t, 1, none.AdmitAt(1), 0)
}

// The JSON form is an interface: names must not change.
func TestJSON(t *testing.T) {
	for name, tt := range map[string]struct {
		advice Advice
		want   string
	}{
		"closed": {Advice{Edge: db, State: "closed", Advice: Allow, AdmitShare: 1, Obedience: -1}, `{
			"name": "orders->postgresql/shop", "caller": "orders", "callee": "postgresql/shop", "callee_kind": "database",
			"state": "closed", "advice": "allow", "enforced": false, "admit_share": 1, "failure_ratio": 0, "slow_ratio": 0, "calls": 0,
			"attempt": 0, "obedience": -1, "in_flight": 0, "retries": {"amplification": 0, "path_amplification": 0, "budget": 0},
			"effects": {"propagation": 0, "fallback": false, "entries": 0, "entries_failed": 0}}`},
		"all": {Advice{
			Edge:  Edge{Name: "a->b GET /x", Caller: "a", Callee: "b", Kind: "service", Operation: "GET /x"},
			State: "half_open", Advice: Probe, Reason: "failure_rate", Explanation: "half of them failed", Since: 1, Until: 2, Expires: 3,
			AdmitShare: 0.1, FailureRatio: 0.5, SlowRatio: 0.25, Calls: 40, Attempt: 2, Obedience: 0.75, Withheld: "deeper_open",
			Stalled: true, Backlog: true, ConcurrencyLimit: 13, InFlight: 9.5, InFlightMax: 14, Saturated: true, Eject: []string{"b-1"}, DegradedCallers: []string{"a-1"},
			Retries: Retries{Amplification: 3, PathAmplification: 9, Storm: true, Metastable: true, Budget: 0.1, Layer: "a->b", Composition: "retry(breaker(call))"},
			Effects: Effects{Propagation: 0.5, Fallback: true, Upstreams: []string{"gateway"}, Entries: 0.2, EntriesFailed: 0.1},
		}, `{
			"name": "a->b GET /x", "caller": "a", "callee": "b", "callee_kind": "service", "operation": "GET /x",
			"state": "half_open", "advice": "probe", "enforced": false, "reason": "failure_rate", "explanation": "half of them failed",
			"since_unix_nano": 1, "until_unix_nano": 2, "expires_unix_nano": 3, "admit_share": 0.1, "failure_ratio": 0.5, "slow_ratio": 0.25,
			"calls": 40, "attempt": 2, "obedience": 0.75, "withheld": "deeper_open", "stalled": true, "backlog": true,
			"concurrency_limit": 13, "in_flight": 9.5, "in_flight_max": 14, "saturated": true, "eject": ["b-1"], "degraded_callers": ["a-1"],
			"retries": {"amplification": 3, "path_amplification": 9, "storm": true, "metastable": true, "budget": 0.1, "layer": "a->b", "composition": "retry(breaker(call))"},
			"effects": {"propagation": 0.5, "fallback": true, "upstreams": ["gateway"], "entries": 0.2, "entries_failed": 0.1}}`},
	} {
		got, err := json.Marshal(tt.advice)
		require.NoError(t, err)
		assert.JSONEq(t, tt.want, string(got), name)
		var back Advice
		require.NoError(t, json.Unmarshal(got, &back))
		assert.Equal(t, tt.advice, back, name)
	}
}
