// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

var faults = map[string]func(*order){
	"slow database":   slowDatabase,
	"failing orders":  func(o *order) { o.ordersOutcome = call.Fail },
	"orders are gone": func(o *order) { o.unreachable = true },
	"a bad version": func(o *order) {
		if o.replica == 2 {
			o.ordersOutcome = call.Fail
		}
	},
}

// Any split into batches gives the same incidents, to the last number.
func TestAnySplitIntoBatches(t *testing.T) {
	t.Parallel()
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			spans := faulty(2, 15, fault)
			want := told(t, spans)
			require.NotEmpty(t, want.incidents)
			for _, n := range []int{1, 37, len(spans)} {
				p := newProbe(testSettings())
				p.feed(n, spans)
				p.Idle()
				assert.Equal(t, want.incidents, p.incidents, "batches of %d", n)
				assert.Equal(t, want.Counts(), p.Counts())
			}
			r := rand.New(rand.NewPCG(3, 3))
			p := newProbe(testSettings())
			for rest := spans; len(rest) > 0; {
				n := min(1+r.IntN(300), len(rest))
				p.feed(n, rest[:n])
				rest = rest[n:]
			}
			p.Idle()
			assert.Equal(t, want.incidents, p.incidents, "batches of any size")
		})
	}
}

// Any shuffle within the allowed lateness gives the same incidents.
func TestAnyOrderWithinLateness(t *testing.T) {
	t.Parallel()
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			spans := faulty(3, 15, fault)
			want := told(t, spans).identities()
			require.Len(t, want, 2)
			for seed := range uint64(3) {
				assert.Equal(t, want, told(t, shuffled(spans, 5*second, seed)).identities(), "seed %d", seed)
			}
		})
	}
}

// One span that stands for many weighs the same as they do: sampling evenly changes no verdict.
func TestWeights(t *testing.T) {
	spans := faulty(4, 20, slowDatabase)
	want := told(t, spans)
	for i := range spans {
		spans[i].Weight = 64
	}
	assert.Equal(t, want.incidents, told(t, spans).incidents)
	for _, w := range []float64{0, -1, math.Inf(1), 1e300} {
		for i := range spans {
			spans[i].Weight = w
		}
		assert.Equal(t, want.identities(), told(t, spans).identities(), "%v", w)
	}
}

// What comes twice counts once.
func TestDuplicates(t *testing.T) {
	spans := faulty(5, 15, slowDatabase)
	want := told(t, spans)
	var twice []span
	for _, s := range spans {
		twice = append(twice, s, s)
	}
	p := told(t, twice)
	assert.Equal(t, want.incidents, p.incidents)
	assert.Equal(t, int64(len(spans)), p.Counts().Duplicates)
}

// Single spans from wrong clocks change nothing but the counts.
func TestWrongClocks(t *testing.T) {
	spans := faulty(6, 15, slowDatabase)
	want := told(t, spans).identities()
	require.Len(t, want, 2)
	r := rand.New(rand.NewPCG(1, 1))
	var mixed []span
	strange := 0
	for _, s := range spans {
		mixed = append(mixed, s)
		if r.IntN(50) == 0 {
			strange++
			s.SpanID, s.TraceID[0] = uint64(1e12)+s.SpanID, 0xff
			took := s.Duration()
			s.End = []int64{s.End + 365*24*3600*second, s.End - 365*24*3600*second, 0, math.MaxInt64}[strange%4]
			s.Start = s.End - took
			mixed = append(mixed, s)
		}
	}
	p := told(t, mixed)
	assert.Equal(t, want, p.identities())
	c := p.Counts()
	assert.Equal(t, int64(strange), c.Future+c.Late)
	assert.Zero(t, c.Rebased)
}

// A surge of ten times the traffic that harms nobody is silent, and so is a system whose traffic does what it likes.
func TestHarmlessTraffic(t *testing.T) {
	for seed := range uint64(4) {
		s := newShop(seed)
		s.run(dawn, dawn+2*minute, 5)
		s.run(dawn+2*minute, dawn+3*minute, 50)
		s.run(dawn+3*minute, dawn+5*minute, 5)
		assert.Empty(t, told(t, s.sorted()).incidents, "surge, seed %d", seed)
	}
}

// An hour of a healthy system: quiet and busy times, pauses, failures one in 500, now and then a slow one.
func TestHealthyHourIsSilent(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		s := newShop(100 + seed)
		s.alter = func(o *order) {
			switch s.r.IntN(500) {
			case 0:
				o.ordersOutcome = call.Fail
			case 1, 2:
				o.database += int64(s.r.ExpFloat64() * float64(50*ms))
			}
		}
		rate := 4.0
		for at := dawn; at < dawn+60*minute; {
			rate = min(max(rate*math.Exp(s.r.NormFloat64()), .2), 25)
			until := at + int64((5+s.r.ExpFloat64()*60)*float64(second))
			if s.r.IntN(10) > 0 {
				s.run(at, until, rate)
			}
			at = until
		}
		p := told(t, s.sorted())
		for _, in := range p.incidents {
			t.Errorf("seed %d: %s: %s %v", seed, in.State, in.Verdict.Summary, in.Verdict.Evidence)
		}
		assert.True(t, p.Ready())
	}
}

// No verdict while there is nothing to compare with.
func TestWarmUpMutes(t *testing.T) {
	s := newShop(7)
	s.run(dawn, dawn+10*second, 20)
	s.alter = func(o *order) { o.ordersOutcome = call.Fail }
	s.run(dawn+10*second, dawn+30*second, 20)
	s.alter = nil
	s.run(dawn+30*second, dawn+90*second, 20)
	p := told(t, s.sorted())
	for _, in := range p.incidents {
		assert.GreaterOrEqual(t, in.Detected, dawn+30*second)
	}
	assert.True(t, p.Ready())
	assert.False(t, newProbe(testSettings()).Ready())
}

// When nothing comes any more, what is here is all there is.
func TestIdle(t *testing.T) {
	s := newShop(8)
	s.run(dawn, dawn+2*minute, 30)
	s.alter = slowDatabase
	s.run(dawn+2*minute, dawn+2*minute+3*second, 30)
	p := newProbe(testSettings())
	p.Idle()
	p.feed(512, s.sorted())
	require.Empty(t, p.incidents, "the last spans are waited for")
	p.Idle()
	require.Len(t, p.incidents, 1)
	assert.Equal(t, "postgresql/shop", p.incidents[0].Verdict.Root)
	size, _ := p.Size()
	assert.Zero(t, size.Spans)
	p.Idle()
	assert.Len(t, p.incidents, 1)
}

// A whole fleet whose clocks were wrong, ahead or behind: after it is set right the engine knows what it knew, and
// finds the next incident.
func TestClockIsSetRight(t *testing.T) {
	for name, by := range map[string]int64{"a day ahead": 86_400 * second, "a day behind": -86_400 * second, "an hour ahead": 3600 * second,
		"a century ahead": 36_525 * 86_400 * second} {
		t.Run(name, func(t *testing.T) {
			s := newShop(9)
			s.run(dawn+by, dawn+by+2*minute, 20)
			p := newProbe(testSettings())
			p.feed(512, s.sorted())
			s.run(dawn+3*minute, dawn+5*minute, 20)
			s.alter = slowDatabase
			s.run(dawn+5*minute, dawn+5*minute+30*second, 20)
			s.alter = nil
			s.run(dawn+5*minute+30*second, dawn+7*minute, 20)
			p.feed(512, s.sorted())
			p.Idle()
			got := p.identities()
			require.Len(t, got, 2, "%v", p.incidents)
			assert.Equal(t, "postgresql/shop", got[0].Root)
			assert.Contains(t, strings.Join(p.incidents[0].Verdict.Evidence, " "), "calls from shop/orders to postgresql/shop",
				"its own record is of the time that is true now")
			assert.InDelta(t, dawn+5*minute, got[0].Onset, float64(2*second))
			assert.Equal(t, incident.Resolved, got[1].State)
			assert.Positive(t, p.Counts().Rebased)
		})
	}
}

// An incident that is open when the clock is set back ends in the time that is true then.
func TestIncidentOutlivesAClockSetBack(t *testing.T) {
	s := newShop(10)
	ahead := 86_400 * second
	s.run(dawn+ahead, dawn+ahead+2*minute, 30)
	s.alter = slowDatabase
	s.run(dawn+ahead+2*minute, dawn+ahead+3*minute, 30)
	p := newProbe(testSettings())
	p.feed(512, s.sorted())
	require.Len(t, p.Open(), 1)
	s.alter = nil
	s.run(dawn, dawn+4*minute, 30)
	p.feed(512, s.sorted())
	assert.Empty(t, p.Open())
	last := p.incidents[len(p.incidents)-1]
	assert.Equal(t, incident.Resolved, last.State)
	assert.LessOrEqual(t, last.Onset, last.Resolved)
}

// Whatever comes: no panic, and the counts say where each span went.
func TestAnyCalls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := testSettings()
		set.Spans, set.TraceSpans, set.HurtTraces, set.WarmUp = 20, 8, 4, 0
		set.Graph.Nodes, set.Graph.Ops, set.Graph.Instances, set.Graph.Edges = 3, 2, 2, 2
		p := newProbe(set)
		letter := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
		times := rapid.OneOf(rapid.Int64Range(0, 100*second), rapid.Int64Range(dawn, dawn+100*second),
			rapid.Int64Range(0, math.MaxInt64))
		total := 0
		for range rapid.IntRange(1, 8).Draw(t, "batches") {
			var spans []span
			for range rapid.IntRange(0, 30).Draw(t, "spans") {
				end := times.Draw(t, "end")
				c := call.Call{
					SpanID: rapid.Uint64Range(1, 30).Draw(t, "id"), ParentID: rapid.Uint64Range(0, 30).Draw(t, "parent"),
					Start: max(0, end-rapid.Int64Range(0, 20*second).Draw(t, "took")), End: end,
					Role:      call.Role(rapid.IntRange(0, 4).Draw(t, "role")),
					Outcome:   call.Outcome(rapid.IntRange(0, 3).Draw(t, "outcome")),
					Reason:    call.Reason(rapid.IntRange(0, 6).Draw(t, "reason")),
					Operation: call.Operation{Target: letter.Draw(t, "op")},
					Peer:      call.Peer{Kind: call.NodeKind(rapid.IntRange(0, 4).Draw(t, "kind")), Name: letter.Draw(t, "peer")},
					Weight:    rapid.Float64().Draw(t, "weight"),
				}
				c.TraceID[0], c.HasParent = byte(rapid.IntRange(1, 4).Draw(t, "trace")), c.ParentID != 0
				spans = append(spans, span{service(letter.Draw(t, "service"), letter.Draw(t, "instance"), ""), c})
			}
			total += len(spans)
			p.feed(7, spans)
			if rapid.IntRange(0, 5).Draw(t, "idle") == 0 {
				p.Idle()
			}
		}
		p.Idle()
		size, _ := p.Size()
		require.LessOrEqual(t, size.Spans, set.Spans)
		require.LessOrEqual(t, size.Nodes, set.Graph.Nodes)
		require.LessOrEqual(t, size.Edges, set.Graph.Edges)
		require.LessOrEqual(t, p.Counts().Duplicates, int64(total))
	})
}
