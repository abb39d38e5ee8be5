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

const second = int64(1e9)

var (
	cfg  = &circuit.Config{Window: 10 * second, FastWindow: 2 * second}
	db   = Edge{Name: "orders->postgresql/shop", Caller: "orders", Callee: "postgresql/shop", Kind: "database"}
	bad  = circuit.Sums{Calls: 40, Bad: 38, Weight: 40, BadWeight: 38}
	good = circuit.Sums{Calls: 1000, Bad: 1, Throttled: 1, Weight: 1000, BadWeight: 1}

	opened = circuit.Transition{From: circuit.Closed, To: circuit.Open, Reason: circuit.FastFailureRate, At: 7, Until: 12, Evidence: bad}
	slow   = circuit.Transition{From: circuit.Closed, To: circuit.Open, Reason: circuit.FailureRate, At: 7, Until: 12, Evidence: bad}
	hangs  = circuit.Transition{From: circuit.Closed, To: circuit.Open, Reason: circuit.FailureLoad, At: 7, Until: 12,
		Evidence: circuit.Sums{Calls: 200, Bad: 50, Weight: 200, BadWeight: 50, Busy: 1000, BadBusy: 970}}
	elapsed  = circuit.Transition{From: circuit.Open, To: circuit.HalfOpen, Reason: circuit.OpenElapsed, At: 12}
	reopened = circuit.Transition{From: circuit.HalfOpen, To: circuit.Open, Reason: circuit.StillFailing, At: 13, Until: 23, Evidence: bad, Attempt: 1}
	closed   = circuit.Transition{From: circuit.HalfOpen, To: circuit.Closed, Reason: circuit.Recovered, At: 22, Evidence: good}
	allWell  = circuit.Transition{From: circuit.HalfOpen, To: circuit.Closed, Reason: circuit.Recovered, At: 22, Evidence: circuit.Sums{Calls: 10, Weight: 10}}
	gone     = circuit.Transition{From: circuit.HalfOpen, To: circuit.Closed, Reason: circuit.Forgotten, At: 99}
)

func TestChanges(t *testing.T) {
	tests := map[string]struct {
		last, cause                 circuit.Transition
		advice, reason, why, senten string
	}{
		"fast":      {opened, opened, Reject, "fast_failure_rate", "fast_failure_rate", "Breaker orders->postgresql/shop is open: 95 % of 40 calls failed within 2s."},
		"slow":      {slow, slow, Reject, "failure_rate", "failure_rate", "Breaker orders->postgresql/shop is open: 95 % of 40 calls failed within 10s."},
		"hangs":     {hangs, hangs, Reject, "failure_load", "failure_load", "Breaker orders->postgresql/shop is open: 25 % of 200 calls failed, and these took 97 % of the time spent in calls."},
		"half open": {elapsed, opened, Probe, "fast_failure_rate", "open_elapsed", "Breaker orders->postgresql/shop is half open: calls that start from now on are verified, after it was open because 95 % of 40 calls failed."},
		"reopened":  {reopened, reopened, Reject, "still_failing", "still_failing", "Breaker orders->postgresql/shop is open: 95 % of 40 calls failed while it was verified."},
		"recovered": {closed, opened, Allow, "recovered", "recovered", "Breaker orders->postgresql/shop is closed again: <1 % of 1000 calls failed (1 throttled) while it was verified."},
		"all well":  {allWell, opened, Allow, "recovered", "recovered", "Breaker orders->postgresql/shop is closed again: none of 10 calls failed while it was verified."},
		"forgotten": {gone, opened, Allow, "forgotten", "forgotten", "Breaker orders->postgresql/shop is closed again: there were no calls for so long that the state meant nothing any more."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := ChangeOf(db, cfg, tt.last, tt.cause)
			assert.Equal(t, tt.advice, c.Advice.Advice)
			assert.Equal(t, tt.reason, c.Reason)
			assert.Equal(t, tt.why, c.Why)
			assert.Equal(t, tt.senten, c.Sentence())
			assert.Equal(t, tt.last.From.String(), c.Previous)
			assert.Equal(t, tt.last.To.String(), c.State)
			assert.Equal(t, tt.last.At, c.Since)
		})
	}
}

// The JSON form is an interface: names must not change.
func TestJSON(t *testing.T) {
	got, err := json.Marshal(ChangeOf(db, cfg, opened, opened))
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"name": "orders->postgresql/shop", "caller": "orders", "callee": "postgresql/shop", "callee_kind": "database",
		"state": "open", "advice": "reject", "reason": "fast_failure_rate", "explanation": "95 % of 40 calls failed within 2s",
		"since_unix_nano": 7, "until_unix_nano": 12, "failure_ratio": 0.95, "calls": 40, "attempt": 0,
		"previous_state": "closed", "why": "fast_failure_rate"}`, string(got))
	got, err = json.Marshal(Of(db, cfg, circuit.Transition{}, circuit.Transition{}))
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"name": "orders->postgresql/shop", "caller": "orders", "callee": "postgresql/shop", "callee_kind": "database",
		"state": "closed", "advice": "allow", "failure_ratio": 0, "calls": 0, "attempt": 0}`, string(got))
}

func TestPercent(t *testing.T) {
	for ratio, want := range map[float64]string{0: "0 %", 0.001: "<1 %", 0.494: "49 %", 0.5: "50 %", 0.996: ">99 %", 1: "100 %"} {
		assert.Equal(t, want, percent(ratio))
	}
}
