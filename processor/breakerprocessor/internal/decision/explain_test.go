// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

const second = int64(1e9)

var (
	cfg  = &circuit.Config{Window: 10 * second, FastWindow: 2 * second, Consecutive: 5}
	most = circuit.Sums{Calls: 40, Bad: 38, Weight: 40, BadWeight: 38}
	few  = circuit.Sums{Calls: 1000, Bad: 1, Throttled: 1, Weight: 1000, BadWeight: 1}
	none = circuit.Sums{Calls: 10, Weight: 10}
	one  = circuit.Sums{Calls: 1, Weight: 1}
	half = circuit.Sums{Calls: 200, Bad: 50, Slow: 184, Weight: 200, BadWeight: 50, Busy: 1000, BadBusy: 970}
)

func TestRule(t *testing.T) {
	for _, tt := range []struct {
		why  circuit.Reason
		ev   circuit.Sums
		want string
	}{
		{circuit.NoReason, most, ""},
		{circuit.FailureRate, most, "95 % of 40 calls failed within 10s"},
		{circuit.FailureCount, most, "95 % of 40 calls failed within 10s"},
		{circuit.FastFailureRate, most, "95 % of 40 calls failed within 2s"},
		{circuit.Consecutive, most, "5 or more failed one after the other"},
		{circuit.FailureLoad, half, "25 % of 200 calls failed, and these took 97 % of the time spent in calls"},
		{circuit.SlowRate, half, "92 % of 200 calls were far slower than usual within 10s"},
		{circuit.OpenElapsed, most, "calls that start from now on are verified, after it was open because 95 % of 40 calls failed"},
		{circuit.StillFailing, most, "95 % of 40 calls failed while it was verified"},
		{circuit.Recovered, few, "<1 % of 1000 calls failed (1 throttled) while it was verified"},
		{circuit.Recovered, none, "none of 10 calls failed while it was verified"},
		{circuit.Recovered, one, "none of 1 call failed while it was verified"},
		{circuit.ProbeTimeout, one, "too few calls came to verify it"},
		{circuit.Forgotten, none, "there were no calls for so long that the state meant nothing any more"},
		{circuit.Manual, none, "the configuration says so"},
	} {
		assert.Equal(t, tt.want, Rule(cfg, tt.why, &tt.ev))
		assert.Equal(t, tt.want, Explain(cfg, circuit.Transition{Reason: tt.why}, circuit.Transition{Evidence: tt.ev}))
	}
}

func TestPercent(t *testing.T) {
	for ratio, want := range map[float64]string{0: "0 %", 0.001: "<1 %", 0.494: "49 %", 0.5: "50 %", 0.996: ">99 %", 1: "100 %"} {
		assert.Equal(t, want, percent(ratio))
	}
}
