// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each state under each kind of event: where it goes, why, at which attempt, and what it admits then. Time is
// 1000 s, states began 10 s before, one call a second is usual.
func TestTransitions(t *testing.T) {
	const now, since = 1000 * second, 990 * second
	cfg := testConfig()
	cfg.SlowRatio, cfg.SlowCalls, cfg.FailureCount, cfg.Consecutive = 0.5, 20, 100, 7
	in := func(s state) func() Breaker {
		return func() Breaker {
			return Breaker{cfg: cfg, other: s, fence: since, attempt: 2, opened: true}
		}
	}
	openUntil := func(until int64, verifying bool) state {
		return &open{trial: newTrial(since), verifying: verifying, well: math.MaxInt64, from: since, until: until, measured: -1}
	}
	half := func(share int) state {
		h := newHalfOpen(since, 1)
		h.share = share
		return h
	}
	begin := map[string]func() Breaker{
		"warming":   func() Breaker { return New(cfg, 1, now+1) },
		"closed":    func() Breaker { return New(cfg, 1, now) },
		"open":      func() Breaker { return in(openUntil(now+1, false))() },
		"over":      func() Breaker { return in(openUntil(now, false))() },
		"verifying": func() Breaker { return in(openUntil(now+1, true))() },
		"anew":      func() Breaker { return in(openUntil(now, true))() },
		"first":     func() Breaker { return in(half(0))() },
		"last":      func() Breaker { return in(half(3))() },
		"forced":    in(forcedOpen{}),
		"disabled":  in(disabled{}),
	}
	step := func(r Recent) func(*Breaker) (Transition, bool) {
		return func(b *Breaker) (Transition, bool) {
			r.Expected = 1
			if r.Window.Calls > 0 {
				b.Call(since, r.Window)
			}
			return b.Step(now, &r)
		}
	}
	both := func(s Sums) Recent { return Recent{Window: s, Fast: s} }
	force := func(s State) func(*Breaker) (Transition, bool) {
		return func(b *Breaker) (Transition, bool) { return b.Force(now, s) }
	}
	events := []struct {
		name string
		do   func(*Breaker) (Transition, bool)
	}{
		{"silence", step(Recent{})},
		{"few, all bad", step(Recent{Window: calls(9, 9)})},
		{"well", step(both(calls(1000, 99)))},
		{"neither", step(both(calls(200, 99)))},
		{"bad", step(both(calls(100, 50)))},
		{"all bad", step(both(calls(20, 18)))},
		{"bad, another's", step(Recent{Window: calls(100, 50), Veto: true})},
		{"pending", step(Recent{Window: with(calls(100, 54), 50, 0, 0)})},
		{"deeper", step(Recent{Window: with(calls(100, 0), 0, 90, 0)})},
		{"hanging", step(Recent{Window: hanging(200, 50)})},
		{"slow", step(Recent{Window: with(calls(20, 0), 0, 0, 10)})},
		{"in a row", step(Recent{Window: calls(100, 7), Row: 7})},
		{"many", step(Recent{Window: calls(1001, 100)})},
		{"forget", func(b *Breaker) (Transition, bool) { return b.Forget(now) }},
		{"force open", force(ForcedOpen)},
		{"force off", force(Disabled)},
		{"force auto", force(Closed)},
	}
	manual := []string{"", "forced_open manual 0 0", "disabled manual 0 1", "closed manual 0 1"}
	forget := "closed forgotten 0 1"
	flows, again := "open - 3 0", "open - 2 0" // the latter is well: but closed, a rule might open it at once
	reopens, recovers, next := "open still_failing 3 0", "closed recovered 2 1", "half_open - 2 0.1"
	stays, closes := "half_open - 2 0.01", "closed - 0 1"
	want := map[string][]string{ // "": as silence
		"warming": {closes, "", "", "", "", "", "", "", "", "", "", "", "", "", manual[1], manual[2], ""},
		"closed": {closes, "open failure_rate 0 0", "", "", "open failure_rate 0 0", "open fast_failure_rate 0 0", "", "", "", "open failure_load 0 0",
			"open slow_rate 0 0", "open consecutive 0 0", "open failure_count 0 0", "", manual[1], manual[2], ""},
		"open": {"open - 2 0", "", "", "", "", "", "", "", "", "", "", "", "", forget, manual[1], manual[2], manual[3]},
		"over": {"half_open open_elapsed 2 0.01", flows, again, flows, flows, flows, flows, flows, again, flows, flows,
			again, again, forget, manual[1], manual[2], manual[3]},
		"verifying": {"open - 2 0", "", recovers, "", "", "", "", "", recovers, "", "", "", "", forget, manual[1], manual[2], manual[3]},
		"anew": {"half_open open_elapsed 2 0.01", flows, recovers, flows, flows, flows, flows, flows, recovers, flows, flows, again, again,
			forget, manual[1], manual[2], manual[3]},
		"first": {stays, "", next, "", reopens, reopens, reopens, "", next, reopens, reopens, next, next, forget, manual[1], manual[2], manual[3]},
		"last": {"half_open - 2 1", "", recovers, "", reopens, reopens, reopens, "", recovers, reopens, reopens, "", "",
			forget, manual[1], manual[2], manual[3]},
		"forced":   {"forced_open - 2 0", "", "", "", "", "", "", "", "", "", "", "", "", "", "", manual[2], manual[3]},
		"disabled": {"disabled - 2 1", "", "", "", "", "", "", "", "", "", "", "", "", "", manual[1], "", manual[3]},
	}
	require.Len(t, want, len(begin))
	seen := map[[2]State]bool{}
	for name, make := range begin {
		require.Len(t, want[name], len(events), name)
		for i, event := range events {
			t.Run(name+", "+event.name, func(t *testing.T) {
				expected := want[name][i]
				if expected == "" {
					expected = want[name][0]
				}
				b := make()
				from := b.State()
				got, changed := event.do(&b)
				why := "-"
				if changed {
					why = got.Reason.String()
					seen[[2]State{from, b.State()}] = true
					assert.Equal(t, []State{from, b.State()}, []State{got.From, got.To})
					assert.Equal(t, now, got.At)
					assert.Equal(t, b.Admit(), got.Admit)
					assert.Equal(t, b.Until(), got.Until)
				} else {
					assert.Equal(t, from, b.State())
				}
				attempt := b.Attempt()
				if changed {
					attempt = got.Attempt
				}
				assert.Equal(t, expected, fmt.Sprintf("%v %s %d %v", b.State(), why, attempt, b.Admit()))
				assert.Equal(t, b.State() == Open, b.Until() >= now)
			})
		}
	}
	for from := range State(NumStates) {
		for to := range State(NumStates) {
			impossible := from == to || from == Closed && to == HalfOpen ||
				from >= ForcedOpen && (to == Open || to == HalfOpen)
			assert.Equal(t, !impossible, seen[[2]State{from, to}], "%v -> %v", from, to)
		}
	}
}

// What can't be forced is refused, and moves nothing.
func TestForce(t *testing.T) {
	for _, s := range []State{Closed, Open, HalfOpen, MetricsOnly} {
		b := New(testConfig(), 1, 0)
		_, changed := b.Force(0, s)
		assert.False(t, changed, s)
		assert.Equal(t, Closed, b.State())
	}
	w, at := opened(t, false)
	tr, changed := w.Force(at+second, ForcedOpen)
	require.True(t, changed)
	assert.Equal(t, Transition{From: Open, To: ForcedOpen, Reason: Manual, At: at + second, Obedience: tr.Obedience}, tr)
	require.Empty(t, w.drive(at+second, at+100*second, always(false)), "nothing follows")
	_, known := w.Obedience(at + 100*second)
	assert.False(t, known)
	back := at + 100*second
	require.Empty(t, w.drive(back-20*second, back, always(true)))
	_, changed = w.Force(back, Closed)
	require.True(t, changed)
	one := calls(1, 1)
	assert.False(t, w.Call(back-1, one), "it begins anew")
	require.Empty(t, w.drive(back, back+10*second, always(true)), "mute, while its window still holds other calls")
	ts := w.drive(back+10*second, back+11*second, always(true))
	require.Equal(t, []State{Open}, states(ts))
	assert.Zero(t, ts[0].Attempt)

	b := New(testConfig(), 1, 60*second)
	b.Force(0, Disabled)
	b.Force(second, Closed)
	_, changed = b.Step(59*second, &Recent{Window: calls(10, 10)})
	assert.False(t, changed, "nor is it warm any sooner")
}

func TestForget(t *testing.T) {
	w, at := opened(t, true)
	ts := w.drive(at+second/4, at+60*second, nil)
	require.Equal(t, []State{HalfOpen}, states(ts))
	tr, changed := w.Forget(900 * second)
	assert.True(t, changed)
	assert.Equal(t, Transition{From: HalfOpen, To: Closed, Reason: Forgotten, At: 900 * second, Obedience: 1, Admit: 1}, tr)
	ts = w.drive(900*second, 904*second, always(true))
	require.Equal(t, []State{Open}, states(ts))
	assert.Zero(t, ts[0].Attempt)
}

func TestNames(t *testing.T) {
	var names []string
	for s := range State(NumStates) {
		names = append(names, s.String())
	}
	assert.Equal(t, []string{"closed", "open", "half_open", "forced_open", "disabled"}, names)
	assert.Equal(t, "metrics_only", MetricsOnly.String())
	for r := FailureRate; r <= Manual; r++ {
		assert.NotEmpty(t, r.String())
	}
	assert.Equal(t, int64(math.MinInt64), newWorld(0).fence)
}
