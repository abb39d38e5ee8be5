// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The calls are as many as they should be, and fail when they should.
func TestCalls(t *testing.T) {
	for _, s := range Scenarios(seed) {
		t.Run(s.Name, func(t *testing.T) {
			calls := s.Calls()
			require.True(t, slices.IsSortedFunc(calls, func(a, b Call) int { return int(a.Start - b.Start) }))
			healthy, bystanders := 0.0, 0.0
			for _, c := range calls {
				assert.GreaterOrEqual(t, c.End, c.Start)
				during := c.Start >= s.Onset && c.Start < s.healed()
				switch {
				case c.Bystander:
					bystanders++
				case !during:
					healthy++
				case s.Within > 0 && s.FaultFor == outage:
					assert.NotEqual(t, None, c.Failure, "all fail in an outage")
				}
				assert.True(t, c.Failure == None || during && !c.Bystander, "%+v", c)
			}
			rate := s.Rate * float64(s.Replicas)
			assert.InEpsilon(t, rate*s.end().Seconds(), bystanders, 0.05)
			assert.InEpsilon(t, rate*(s.end()-s.FaultFor).Seconds(), healthy, 0.05)
		})
	}
}

// Every span is exported once, by the replica that it belongs to, within a second of its end.
func TestExports(t *testing.T) {
	s := Scenarios(seed)[6] // calls hang, some are told of late
	calls := s.Calls()
	want := 2 * len(calls)
	for _, c := range calls {
		if c.ServerEnd > 0 {
			want++
		}
	}
	seen := map[ended]bool{}
	var last time.Duration
	for _, x := range s.exports(calls) {
		assert.GreaterOrEqual(t, x.at, last)
		last = x.at
		for _, e := range x.spans {
			assert.True(t, e.end <= x.at && x.at < e.end+time.Second)
			assert.False(t, seen[e])
			seen[e] = true
			if e.kind == serverSpan {
				assert.Equal(t, e.call.Instance, x.from.replica)
			} else {
				assert.Equal(t, e.call.Replica, x.from.replica)
			}
		}
	}
	assert.Len(t, seen, want)
}

// The in-process breakers open when their documentation says so, stop calls while they are open, and learn nothing
// from those that they stopped: a call a second takes half a second, those of seconds 10 to 79 fail.
func TestRun(t *testing.T) {
	attempts := func(yield func(Attempt) bool) {
		for i := range 120 {
			at := time.Duration(i) * time.Second
			if !yield(Attempt{Start: at, End: at + time.Second/2, Failed: i >= 10 && i < 80}) {
				return
			}
		}
	}
	want := map[string][]string{ // how it begins, and how it ends
		"gobreaker, default":   {"open 15.5s", "half_open 1m16s", "open 1m16.5s", "...", "open 1m16.5s"},
		"gobreaker, fair":      {"open 14.5s", "half_open 20s", "open 20.5s", "...", "closed 1m20.5s"},
		"failsafe-go, default": {"open 10.5s", "half_open 1m11s", "open 1m11.5s", "...", "open 1m11.5s"},
		"failsafe-go, fair":    {"open 14.5s", "half_open 20s", "open 20.5s", "...", "closed 1m20.5s"},
	}
	synctest.Test(t, func(t *testing.T) {
		peers := Peers()
		for p, changes := range Run(peers, 1, attempts) {
			var got []string
			for _, c := range changes {
				got = append(got, c.Next+" "+c.At.String())
			}
			require.GreaterOrEqual(t, len(got), 3)
			assert.Equal(t, want[peers[p].Name], append(got[:3:3], "...", got[len(got)-1]), peers[p].Name)
		}
	})
}

// The row of three replicas, one of which never opens and one of which stays open.
func TestMeasure(t *testing.T) {
	s := Scenario{Name: "x", Replicas: 3, Onset: 10 * time.Second, FaultFor: outage, After: outage}
	at := func(seconds float64, replica int, next string) Change {
		d := time.Duration(seconds * float64(time.Second))
		return Change{At: d, Event: d - time.Second/2, Replica: replica, Next: next}
	}
	var calls []Call
	for i := range 30 {
		calls = append(calls, Call{Start: 10*time.Second + time.Duration(i/3)*time.Second, Replica: i % 3, Failure: Refused})
	}
	row := s.Measure("b", 3, calls, []Change{at(12, 0, "open"), at(14.5, 2, "open"), at(80, 0, "half_open"), at(81, 0, "closed"), at(90, 2, "closed")})
	assert.Equal(t, Row{
		Scenario: "x", Breaker: "b", First: 2 * time.Second, EventTime: 1500 * time.Millisecond, Median: 4500 * time.Millisecond,
		Opened: 2.0 / 3, Failing: 2 + 10 + 5, Transitions: 5, FalseOpens: -1, Close: 20 * time.Second,
	}, row)
	assert.Equal(t, never, s.Measure("b", 3, calls, []Change{at(12, 0, "open")}).Close)
	assert.Equal(t, never, s.Measure("b", 3, calls, []Change{at(12, 0, "open")}).Median)
}

// A day's calls come at their rates and fail as often as they should, and the observer sees the same as the others.
func TestDayCalls(t *testing.T) {
	d := Day{Callers: 2, Failures: 0.1, Length: time.Hour}
	calls, failed, last := 0.0, 0.0, time.Duration(0)
	for a := range d.Attempts(seed, 2) {
		assert.GreaterOrEqual(t, a.Start, last)
		last = a.Start
		calls++
		if a.Failed {
			failed++
		}
	}
	assert.InEpsilon(t, 0.1, failed/calls, 0.05)
	mean := 1.8 / 2.302585 // of a rate even on a log scale from 0.2 to 2
	assert.InEpsilon(t, mean*float64(d.Edges())*d.Length.Seconds(), calls, 0.05)
	synctest.Test(t, func(t *testing.T) {
		_, seen, err := d.Observe(t.Context(), seed)
		require.NoError(t, err)
		assert.InDelta(t, calls, seen, 0.7*mean*float64(d.Edges())+100, "but for the last second's")
	})
}
