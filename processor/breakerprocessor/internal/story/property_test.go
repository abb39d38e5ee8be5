// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package story

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
)

// callees of random traces: edge e leads to service e modulo 5.
func randomCallee(edge uint32) (uint32, bool) { return edge % 5, edge != 9 }

// drawSpans makes the spans of a trace: a tree of calls and answers, or any spans with any parents, circles, copies
// and parents that are not there among them. With guards some calls are rejected.
func drawSpans(t *rapid.T, guards bool) []trace.Span {
	var spans []trace.Facts
	reasons := []call.Reason{call.ReasonError, call.ReasonTimeout, call.ReasonThrottled, call.ReasonCancelled, call.ReasonClient}
	if guards {
		reasons = append(reasons, call.ReasonRejected)
	}
	tree := rapid.Bool().Draw(t, "tree")
	for i := range rapid.Uint64Range(0, 30).Draw(t, "spans") {
		s := trace.Facts{
			Start:    rapid.Int64Range(0, 50).Draw(t, "start") * ms,
			Instance: rapid.Uint32Range(0, 4).Draw(t, "service"),
			Role:     call.Role(rapid.IntRange(0, 4).Draw(t, "role")),
			Outcome:  call.Outcome(rapid.IntRange(0, 3).Draw(t, "outcome")),
			Attempt:  uint8(rapid.IntRange(0, 30).Draw(t, "attempt") / 28),
		}
		if tree {
			s.ID, s.Parent = i+1, rapid.Uint64Range(max(i, 4)-4, i).Draw(t, "parent")
			s.Role = call.RoleClient
			if i == 0 || spans[max(s.Parent, 1)-1].Role == call.RoleClient {
				s.Role = call.RoleServer
			}
			s.Start = int64(i) * ms
		} else {
			s.ID, s.Parent = rapid.Uint64Range(1, 30).Draw(t, "id"), rapid.Uint64Range(0, 33).Draw(t, "parent")
		}
		s.End = s.Start + rapid.Int64Range(0, 50).Draw(t, "duration")*ms
		if s.Outcome != call.OK {
			s.Reason = rapid.SampledFrom(reasons).Draw(t, "reason")
		}
		if s.Role.Outgoing() {
			s.Op = rapid.Uint32Range(0, 9).Draw(t, "edge")
		}
		spans = append(spans, s)
	}
	return packed(spans)
}

// tellLogged tells the story of spans that arrive in the order given.
func tellLogged(spans []trace.Span) ([]trace.Span, []trace.Node, *Story) {
	l := trace.NewLog(1, 1000)
	for _, s := range spans {
		l.Add(trace.ID{1}, s, uint32(s.ID)%2)
	}
	spans, tags, _ := l.Trace(trace.ID{1}, nil, nil, nil)
	var w trace.Walker
	nodes := w.Walk(spans)
	t := Teller{Callee: randomCallee}
	return spans, nodes, t.Tell(spans, tags, nodes)
}

func TestEveryFailureHasItsVerdict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		guards := rapid.Bool().Draw(t, "guards")
		spans, nodes, s := tellLogged(drawSpans(t, guards))
		require.Len(t, s.Meanings, len(spans))
		failed, blamed := 0, 0
		for i, m := range s.Meanings {
			sp := &spans[i]
			if sp.Role().Outgoing() && sp.Outcome().Bad() && !nodes[i].Duplicate {
				failed++
				require.Contains(t, []Verdict{Charged, Propagated}, m.Verdict)
			} else {
				require.Contains(t, []Verdict{None, GivenUp}, m.Verdict)
				require.False(t, m.Absorbed)
			}
			if m.Verdict == Charged || m.Verdict == GivenUp {
				blamed++
			}
		}
		if failed > 0 && !guards {
			require.Positive(t, blamed, "somebody is to blame")
		}
		first := map[uint32]int{}
		for _, h := range s.Hurt {
			require.NotEmpty(t, h.Upstream)
			require.Equal(t, spans[h.Call].Instance, h.Upstream[0])
			require.Equal(t, spans[h.Call].Op, h.Edge)
			if h.First {
				first[h.Edge]++
			}
		}
		require.Equal(t, blamed > 0, len(s.Hurt) > 0)
		for _, h := range s.Hurt {
			require.Equal(t, 1, first[h.Edge])
		}
		for i, m := range s.Meanings {
			require.False(t, m.Retry && !spans[i].Role().Outgoing())
		}
		require.Less(t, int(s.Entry), len(spans))
	})
}

func TestOrderOfArrivalTellsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spans := drawSpans(t, true)
		seen := map[uint64]bool{} // of copies that differ, the first to come is kept
		spans = slices.DeleteFunc(spans, func(s trace.Span) bool {
			again := seen[s.ID]
			seen[s.ID] = true
			return again
		})
		_, _, want := tellLogged(spans)
		_, _, got := tellLogged(rapid.Permutation(spans).Draw(t, "arrival"))
		require.Equal(t, want, got)
	})
}

// Memory that was used for one trace says nothing about the next.
func TestTellerForgets(t *testing.T) {
	teller := Teller{Callee: randomCallee}
	rapid.Check(t, func(t *rapid.T) {
		spans := drawSpans(t, true)
		slices.SortFunc(spans, func(a, b trace.Span) int { return int(a.Start()-b.Start())*100 + int(a.ID) - int(b.ID) })
		tags := make([]uint32, len(spans))
		var w trace.Walker
		nodes := w.Walk(spans)
		fresh := Teller{Callee: randomCallee}
		want, got := fresh.Tell(spans, tags, nodes), teller.Tell(spans, tags, nodes)
		require.Equal(t, len(want.Meanings), len(got.Meanings))
		require.Equal(t, len(want.Hurt), len(got.Hurt))
		for i := range want.Meanings {
			require.Equal(t, want.Meanings[i], got.Meanings[i])
		}
		for i := range want.Hurt {
			require.Equal(t, want.Hurt[i], got.Hurt[i])
		}
		require.Equal(t, want.Entry, got.Entry)
	})
}

func TestMalformed(t *testing.T) {
	fail := func(id, parent uint64, role call.Role) trace.Span {
		return trace.NewSpan(trace.Facts{ID: id, Parent: parent, Role: role, Op: 1, Outcome: call.Fail, End: 10})
	}
	for name, tt := range map[string]struct {
		spans []trace.Span
		want  []Verdict
	}{
		"nothing":          {nil, []Verdict{}},
		"a circle":         {[]trace.Span{fail(1, 3, call.RoleClient), fail(2, 1, call.RoleServer), fail(3, 2, call.RoleClient)}, []Verdict{Propagated, None, Charged}},
		"its own parent":   {[]trace.Span{fail(1, 1, call.RoleClient)}, []Verdict{Charged}},
		"a copy":           {[]trace.Span{fail(1, 0, call.RoleClient), fail(1, 0, call.RoleClient)}, []Verdict{Charged, None}},
		"children first":   {[]trace.Span{fail(1, 2, call.RoleClient), fail(2, 3, call.RoleServer), fail(3, 0, call.RoleClient)}, []Verdict{Charged, None, Propagated}},
		"no parent at all": {[]trace.Span{fail(1, 8, call.RoleClient), fail(2, 9, call.RoleClient)}, []Verdict{Charged, Charged}},
	} {
		t.Run(name, func(t *testing.T) {
			var w trace.Walker
			var teller Teller
			s := teller.Tell(tt.spans, make([]uint32, len(tt.spans)), w.Walk(tt.spans))
			got := []Verdict{}
			for _, m := range s.Meanings {
				got = append(got, m.Verdict)
			}
			assert.Equal(t, tt.want, got)
		})
	}
}
