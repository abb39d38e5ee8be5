// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func gateConfig() *GateConfig {
	return &GateConfig{
		WindowCalls: 10, MinimumCalls: 4, FailureRatio: 0.5, SlowRatio: 0.8, SlowDuration: second,
		Open:        OpenTime{First: 5 * second, Multiplier: 2, Max: 60 * second},
		MaxInFlight: 2, Probes: 2, MaxWait: 20 * second,
	}
}

// observed is a gate with the transitions it told of.
type observedGate struct {
	*Gate
	told []Transition
}

func newObservedGate(cfg *GateConfig) *observedGate {
	o := &observedGate{}
	o.Gate = NewGate(cfg, 1, func(t Transition) { o.told = append(o.told, t) })
	return o
}

// call makes n calls one after the other that take no time on the gate's clock.
func (o *observedGate) call(now int64, n int, outcome Outcome) (admitted int) {
	for range n {
		if o.Admit(now) {
			admitted++
			o.Record(now, now, outcome, 0)
		}
	}
	return admitted
}

// What can happen to a gate that is in a given state since 0, and where it goes. Every pair of states is reached
// by hand; without, only what the diagram says.
func TestGateTransitions(t *testing.T) {
	failing := func(n int) func(*observedGate) { return func(o *observedGate) { o.call(second, n, Fail) } }
	probe := func(at int64, outcomes ...Outcome) func(*observedGate) {
		return func(o *observedGate) {
			for range outcomes {
				require.True(t, o.Admit(second))
			}
			for _, outcome := range outcomes {
				o.Record(at, second, outcome, 0)
			}
		}
	}
	tests := map[string]struct {
		from   State
		events func(*observedGate)
		to     State
		reason Reason
	}{
		"closed: too few fail":                 {Closed, failing(3), Closed, NoReason},
		"closed: enough fail":                  {Closed, failing(4), Open, FailureRate},
		"closed: enough refuse":                {Closed, func(o *observedGate) { o.call(second, 4, Throttled) }, Open, FailureRate},
		"closed: all are slow":                 {Closed, func(o *observedGate) { slowly(o, 4, second+1) }, Open, SlowRate},
		"closed: almost slow":                  {Closed, func(o *observedGate) { slowly(o, 10, second) }, Closed, NoReason},
		"closed: one that started before":      {Closed, func(o *observedGate) { late(o, 10) }, Closed, NoReason},
		"open: its time is not over":           {Open, func(o *observedGate) { o.Admit(5*second - 1) }, Open, NoReason},
		"open: over":                           {Open, func(o *observedGate) { o.Admit(5 * second) }, HalfOpen, OpenElapsed},
		"open: over, and nobody asks":          {Open, func(o *observedGate) { o.Record(6*second, second, OK, 0) }, Open, NoReason},
		"open: late results":                   {Open, func(o *observedGate) { late(o, 10) }, Open, NoReason},
		"half_open: one good":                  {HalfOpen, probe(second, OK), HalfOpen, NoReason},
		"half_open: all good":                  {HalfOpen, probe(second, OK, OK), Closed, Recovered},
		"half_open: one bad":                   {HalfOpen, probe(second, Fail), Open, StillFailing},
		"half_open: one refused":               {HalfOpen, probe(second, Throttled), Open, StillFailing},
		"half_open: one slow":                  {HalfOpen, func(o *observedGate) { slowly(o, 1, second+1) }, Open, StillFailing},
		"half_open: nothing to tell":           {HalfOpen, probe(second, Ignored, Ignored), HalfOpen, NoReason},
		"half_open: late results":              {HalfOpen, func(o *observedGate) { late(o, 10) }, HalfOpen, NoReason},
		"half_open: just in time":              {HalfOpen, probe(20*second-1, OK, OK), Closed, Recovered},
		"half_open: results after its time":    {HalfOpen, probe(20*second, OK, OK), Open, ProbeTimeout},
		"half_open: asked after its time":      {HalfOpen, func(o *observedGate) { o.Admit(20 * second) }, Open, ProbeTimeout},
		"forced_open: whatever":                {ForcedOpen, func(o *observedGate) { assert.Zero(t, o.call(math.MaxInt64/2, 9, OK)); late(o, 9) }, ForcedOpen, NoReason},
		"disabled: whatever":                   {Disabled, func(o *observedGate) { assert.Equal(t, 99, o.call(second, 99, Fail)) }, Disabled, NoReason},
		"metrics_only: whatever":               {MetricsOnly, func(o *observedGate) { assert.Equal(t, 99, o.call(second, 99, Fail)) }, MetricsOnly, NoReason},
		"half_open: asked much after its time": {HalfOpen, func(o *observedGate) { o.Admit(3600 * second) }, HalfOpen, OpenElapsed},
	}
	seen := map[[2]State]bool{}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := newObservedGate(gateConfig())
			o.Force(0, tt.from)
			o.told = nil
			tt.events(o)
			assert.Equal(t, tt.to, o.State())
			seen[[2]State{tt.from, tt.to}] = true
			if tt.reason == NoReason {
				assert.Empty(t, o.told)
				return
			}
			require.NotEmpty(t, o.told)
			last := o.told[len(o.told)-1]
			assert.Equal(t, tt.reason, last.Reason)
			assert.Equal(t, tt.to, last.To)
			assert.Equal(t, tt.to == Open, last.Until > last.At)
		})
	}
	want := map[[2]State]bool{{Closed, Open}: true, {Open, HalfOpen}: true, {HalfOpen, Open}: true, {HalfOpen, Closed}: true}
	for from := Closed; from <= MetricsOnly; from++ {
		for to := Closed; to <= MetricsOnly; to++ {
			pair := [2]State{from, to}
			assert.Equal(t, want[pair] || from == to, seen[pair], "%v -> %v", from, to)
			o := newObservedGate(gateConfig())
			o.Force(0, from)
			o.Force(second, to)
			assert.Equal(t, to, o.State())
			last := o.told[1]
			assert.Equal(t, []any{from, to, Manual}, []any{last.From, last.To, last.Reason})
		}
	}
}

func slowly(o *observedGate, n int, took int64) {
	for range n {
		o.Admit(second)
		o.Record(second, second, OK, took)
	}
}

// late brings results of calls that began before the state did.
func late(o *observedGate, n int) {
	for range n {
		o.Record(second, -1, Fail, 0)
	}
}

func TestGateRules(t *testing.T) {
	call := func(o ...Outcome) []Outcome { return o }
	tests := map[string]struct {
		set   func(*GateConfig)
		calls []Outcome
		want  Reason
	}{
		"a row of failures":                 {func(c *GateConfig) { c.ConsecutiveFailures = 3 }, call(Fail, Fail, Fail), Consecutive},
		"a row that a good call breaks":     {func(c *GateConfig) { c.ConsecutiveFailures = 3 }, call(Fail, Fail, OK, Fail, Fail), NoReason},
		"a row that a throttled one is in":  {func(c *GateConfig) { c.ConsecutiveFailures = 3 }, call(Fail, Throttled, Fail, Throttled), NoReason},
		"a row, throttled but not broken":   {func(c *GateConfig) { c.ConsecutiveFailures = 3 }, call(Fail, Throttled, Fail, Fail), Consecutive},
		"a number of failures":              {func(c *GateConfig) { c.FailureCount = 2 }, call(Fail, OK, OK, OK, Fail), FailureCount},
		"a number, one has left the window": {func(c *GateConfig) { c.FailureCount, c.WindowCalls = 2, 4 }, call(Fail, OK, OK, OK, Fail), NoReason},
		"half, but it may be chance":        {func(c *GateConfig) { c.FailureRatio, c.Confidence, c.FailureFloor = 0.5, 3.09, 0.25 }, call(Fail, OK, OK, Fail), NoReason},
		"four of four is no chance":         {func(c *GateConfig) { c.FailureRatio, c.Confidence, c.FailureFloor = 0.5, 3.09, 0.25 }, call(Fail, Fail, Fail, Fail), FailureRate},
		"three of three may be chance":      {func(c *GateConfig) { c.FailureRatio, c.Confidence, c.FailureFloor = 0.5, 3.09, 0.25 }, call(Fail, Fail, Fail), NoReason},
		"no minimum: the first one counts":  {func(c *GateConfig) { c.FailureRatio = 1 }, call(Fail), FailureRate},
		"no rule":                           {func(*GateConfig) {}, call(Fail, Fail, Fail, Fail, Fail, Fail), NoReason},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := &GateConfig{WindowCalls: 10, Open: OpenTime{First: second}}
			tt.set(cfg)
			o := newObservedGate(cfg)
			for _, outcome := range tt.calls {
				require.Equal(t, 1, o.call(0, 1, outcome))
			}
			got := NoReason
			if len(o.told) > 0 {
				got = o.told[0].Reason
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

// A gate that opens again soon after it closed stays open longer, unless closing pays all back.
func TestGatePayback(t *testing.T) {
	for name, tt := range map[string]struct {
		payback, healthy int64
		want             uint8
	}{
		"closing pays all":    {0, 0, 0},
		"nothing paid yet":    {10 * second, second, 2},
		"one window, one":     {10 * second, 10 * second, 1},
		"two windows, both":   {10 * second, 20 * second, 0},
		"more than there was": {10 * second, 900 * second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := gateConfig()
			cfg.Payback = tt.payback
			o := newObservedGate(cfg)
			o.call(0, 4, Fail)
			o.call(5*second, 1, Fail)
			require.Equal(t, 2, o.call(15*second, 2, OK))
			require.Equal(t, Closed, o.State())
			o.call(15*second+tt.healthy, 4, Fail)
			last := o.told[len(o.told)-1]
			require.Equal(t, Open, last.To)
			assert.Equal(t, tt.want, last.Attempt)
			assert.Equal(t, 5*second<<tt.want, last.Until-last.At)
			assert.Equal(t, []uint32{4, 4}, []uint32{last.Evidence.Calls, last.Evidence.Bad})
			assert.Equal(t, 1.0, last.Evidence.Ratio())
		})
	}
}

// By rate, half-open waits for all its probes, and what is exactly the limit is too much.
func TestGateHalfOpenByRate(t *testing.T) {
	const slow, fast = second + 1, second
	type probe struct {
		outcome Outcome
		took    int64
	}
	for name, tt := range map[string]struct {
		failureRatio float64
		probes       []probe
		want         State
	}{
		"one of four bad, so far":     {0.5, []probe{{Fail, fast}}, HalfOpen},
		"one of four":                 {0.5, []probe{{Fail, fast}, {OK, fast}, {OK, fast}, {OK, fast}}, Closed},
		"two of four":                 {0.5, []probe{{Fail, fast}, {OK, fast}, {OK, fast}, {Fail, fast}}, Open},
		"one of four, none allowed":   {0, []probe{{Fail, fast}, {OK, fast}, {OK, fast}, {OK, fast}}, Open},
		"none of four, none allowed":  {0, []probe{{OK, fast}, {OK, fast}, {OK, fast}, {OK, fast}}, Closed},
		"three slow, four are needed": {0.5, []probe{{OK, slow}, {OK, slow}, {OK, slow}, {OK, fast}}, Closed},
		"four slow":                   {0.5, []probe{{OK, slow}, {OK, slow}, {OK, slow}, {OK, slow}}, Open},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := gateConfig()
			cfg.Policy, cfg.Probes, cfg.FailureRatio = ByRate, 4, tt.failureRatio
			o := newObservedGate(cfg)
			o.Force(0, HalfOpen)
			for _, p := range tt.probes {
				require.True(t, o.Admit(second))
				o.Record(second, second, p.outcome, p.took)
			}
			assert.Equal(t, tt.want, o.State())
		})
	}
}

// What began before the trouble was over says nothing of a gate that is closed again; what a probe says counts.
func TestGateClosedAgain(t *testing.T) {
	o := newObservedGate(gateConfig())
	o.call(0, 4, Fail)
	require.True(t, o.Admit(5*second))
	require.Equal(t, 2, o.call(6*second, 2, OK))
	require.Equal(t, Closed, o.State())
	for range 10 {
		o.Record(7*second, 5*second-1, Fail, 0)
	}
	assert.Zero(t, o.Counts(7*second))
	o.Record(7*second, 5*second, Fail, 0)
	assert.Equal(t, Counts{Calls: 1, Bad: 1}, o.Counts(7*second))
}

// A probe that outlives its period gives no place back in the next.
func TestGateProbesOfAnotherPeriod(t *testing.T) {
	o := newObservedGate(gateConfig())
	o.Force(0, HalfOpen)
	require.True(t, o.Admit(0))
	require.True(t, o.Admit(0))
	require.False(t, o.Admit(19*second))
	require.False(t, o.Admit(20*second), "open again")
	assert.EqualValues(t, 1, o.told[1].Attempt)
	require.False(t, o.Admit(30*second-1), "for twice the time")
	require.True(t, o.Admit(30*second))
	require.True(t, o.Admit(30*second))
	o.Record(31*second, 0, Fail, 0)
	assert.Equal(t, HalfOpen, o.State())
	assert.False(t, o.Admit(31*second))
	o.Record(31*second, 30*second, OK, 0)
	assert.True(t, o.Admit(31*second), "its own do")
}

func TestGateNeverWaitsForever(t *testing.T) {
	cfg := gateConfig()
	cfg.MaxWait = 0
	o := newObservedGate(cfg)
	o.Force(0, HalfOpen)
	require.True(t, o.Admit(0))
	o.Admit(5*second - 1)
	assert.Equal(t, HalfOpen, o.State())
	o.Admit(5 * second)
	assert.Equal(t, Open, o.State(), "without a maximum wait it is the open time")
	cfg.Open.First = 0
	o.Force(0, HalfOpen)
	assert.True(t, o.Admit(3600*second), "without that too there is none")
}

func TestGateCounts(t *testing.T) {
	cfg := gateConfig()
	cfg.WindowCalls, cfg.WindowBuckets, cfg.BucketWidth = 0, 10, second
	o := newObservedGate(cfg)
	for _, s := range []State{Closed, MetricsOnly} {
		o.Force(0, s)
		o.call(second, 2, OK)
		o.call(second, 1, Fail)
		o.call(second, 1, Ignored)
		assert.Equal(t, Counts{Calls: 3, Bad: 1}, o.Counts(10*second), s)
		assert.Zero(t, o.Counts(11*second), s)
		late(o, 1)
		assert.Zero(t, o.Counts(11*second), s)
		o.Force(20*second, s)
		o.Record(20*second, 20*second-1, Fail, 0)
		assert.Zero(t, o.Counts(20*second), s)
	}
	o.Force(0, HalfOpen)
	slowly(o, 1, second)
	assert.Equal(t, Counts{Calls: 1}, o.Counts(second))
	for _, s := range []State{Open, ForcedOpen, Disabled} {
		o.Force(0, s)
		o.call(second, 3, Fail)
		assert.Zero(t, o.Counts(second), s)
	}
}

// Both windows against a list of all calls.
func TestGateWindows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 20).Draw(t, "size")
		byCalls := (&GateConfig{WindowCalls: uint32(size)}).newPast()
		byTime := (&GateConfig{WindowBuckets: size, BucketWidth: second}).newPast()
		type call struct {
			at  int64
			one Counts
		}
		var all []call
		now := rapid.Int64Range(-100*second, 100*second).Draw(t, "start")
		for range rapid.IntRange(1, 60).Draw(t, "n") {
			now += rapid.Int64Range(0, 3*second).Draw(t, "dt")
			r := result{Outcome(rapid.IntRange(0, 2).Draw(t, "outcome")), rapid.Bool().Draw(t, "slow")}
			byCalls.add(now, r.counts())
			byTime.add(now, r.counts())
			all = append(all, call{now, r.counts()})
			var last, recent Counts
			for i, c := range all {
				if i >= len(all)-size {
					last.Add(&c.one)
				}
				if floor(c.at) > floor(now)-int64(size) {
					recent.Add(&c.one)
				}
			}
			require.Equal(t, last, byCalls.counts(now))
			require.Equal(t, recent, byTime.counts(now))
		}
	})
}

func floor(at int64) int64 { return int64(math.Floor(float64(at) / float64(second))) }

// Whatever is asked and answered: transitions follow the diagram and never go back in time, half-open lets in no
// more than its number, and open nobody.
func TestGateInvariants(t *testing.T) {
	diagram := map[[2]State]bool{{Closed, Open}: true, {Open, HalfOpen}: true, {HalfOpen, Open}: true, {HalfOpen, Closed}: true}
	rapid.Check(t, func(t *rapid.T) {
		cfg := gateConfig()
		cfg.Open.Jitter = 0.2
		cfg.Policy = Policy(rapid.IntRange(0, 1).Draw(t, "policy"))
		o := newObservedGate(cfg)
		var open []int64
		now := int64(0)
		probes := map[int64]int{} // in flight, by the start of their half-open period
		for range rapid.IntRange(1, 200).Draw(t, "n") {
			now += rapid.Int64Range(0, 3*second).Draw(t, "dt")
			if len(open) > 0 && rapid.Bool().Draw(t, "finish") {
				i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
				o.Record(now, open[i], Outcome(rapid.IntRange(0, 3).Draw(t, "outcome")), rapid.Int64Range(0, 2*second).Draw(t, "took"))
				if o.State() == HalfOpen && open[i] >= o.told[len(o.told)-1].At {
					probes[o.told[len(o.told)-1].At]--
				}
				open = append(open[:i], open[i+1:]...)
				continue
			}
			if !o.Admit(now) {
				require.NotEqual(t, Closed, o.State())
				continue
			}
			open = append(open, now)
			require.NotEqual(t, Open, o.State())
			if o.State() == HalfOpen {
				since := o.told[len(o.told)-1].At
				probes[since]++
				require.LessOrEqual(t, probes[since], int(cfg.MaxInFlight))
			}
		}
		for i, tr := range o.told {
			require.True(t, diagram[[2]State{tr.From, tr.To}], "%v -> %v", tr.From, tr.To)
			if i > 0 {
				require.Equal(t, o.told[i-1].To, tr.From)
				require.GreaterOrEqual(t, tr.At, o.told[i-1].At)
			}
			if tr.From == Open {
				require.GreaterOrEqual(t, tr.At, o.told[i-1].Until)
			}
		}
	})
}

func TestOpenTimeMultiplier(t *testing.T) {
	for _, tt := range []struct {
		open OpenTime
		want []int64
	}{
		{OpenTime{First: 100, Multiplier: 1.5, Max: 300}, []int64{100, 150, 225, 300, 300}},
		{OpenTime{First: 100, Multiplier: 1}, []int64{100, 100, 100}},
		{OpenTime{First: 100}, []int64{100, 100, 100}},
		{OpenTime{First: 100, Multiplier: 3}, []int64{100, 300, 900, 2700}},
		{OpenTime{First: 400, Multiplier: 2, Max: 300}, []int64{300, 300}},
	} {
		for attempt, want := range tt.want {
			assert.Equal(t, want, tt.open.of(7, uint8(attempt)), "%+v, attempt %d", tt.open, attempt)
		}
	}
	never := OpenTime{First: second, Multiplier: 10, Jitter: 1}
	assert.Positive(t, math.MaxInt64/2+never.of(7, math.MaxUint8), "no overflow")
}

func BenchmarkGate(b *testing.B) {
	for name, cfg := range map[string]*GateConfig{
		"calls": {WindowCalls: 100, MinimumCalls: 20, FailureRatio: 0.5},
		"time":  {WindowBuckets: 10, BucketWidth: second, MinimumCalls: 20, FailureRatio: 0.5},
	} {
		b.Run(name, func(b *testing.B) {
			g := NewGate(cfg, 1, nil)
			b.ReportAllocs()
			for i := range int64(b.N) {
				if g.Admit(i) {
					g.Record(i, i, OK, 0)
				}
			}
		})
	}
}

// What decided is told as a Breaker would, slow calls among it.
func TestGateEvidence(t *testing.T) {
	var told []Transition
	g := NewGate(&GateConfig{WindowCalls: 4, MinimumCalls: 4, SlowRatio: 0.5, SlowDuration: 10}, 0, func(t Transition) { told = append(told, t) })
	for took := range int64(4) {
		g.Record(0, 0, OK, took*5+1)
	}
	require.Len(t, told, 1)
	assert.Equal(t, with(calls(4, 0), 0, 0, 2), told[0].Evidence)
}
