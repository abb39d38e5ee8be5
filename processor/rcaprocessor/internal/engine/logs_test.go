// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/contrast"
)

var (
	placed = contrast.TemplateOf("placed")
	seen   = contrast.TemplateOf("seen")
	cried  = contrast.TemplateOf("no luck")
)

// written is a line of a service.
func written(r *call.Resource, at int64, template uint64, grave bool) LogLine {
	return LogLine{Source: r.Key(), Replica: ReplicaKey(r), At: at, Template: template, Grave: grave}
}

// lined has an engine learn of spans and of the lines that come with each, these by so much later, or earlier.
func lined(p *probe, spans []span, later int64, of func(*span) []LogLine) {
	type arrival struct {
		at int64
		sp *span
		l  LogLine
	}
	var all []arrival
	for i := range spans {
		sp := &spans[i]
		all = append(all, arrival{at: sp.End, sp: sp})
		for _, l := range of(sp) {
			all = append(all, arrival{at: l.At + later, l: l})
		}
	}
	slices.SortStableFunc(all, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	for i := range all {
		if a := &all[i]; a.sp != nil {
			p.Learn(batchOf([]span{*a.sp}), nil)
		} else {
			p.LearnLog(&a.l)
		}
	}
}

// A line that is missing, of records that name no span, or whose spans never come; they come as much earlier or later
// than their spans as these may be late.
func TestLogsOfAServiceAlone(t *testing.T) {
	for _, later := range []int64{-10 * second, 0, 10 * second} {
		for _, orphans := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d s, orphans %v", later/second, orphans), func(t *testing.T) {
				s := newShop(6)
				s.run(dawn, studyEnd, 5)
				p := newProbe(testSettings())
				lined(p, s.sorted(), later, func(sp *span) (lines []LogLine) {
					if sp.Role != call.RoleServer || sp.from.Service != "orders" {
						return nil
					}
					lines = append(lines, written(&sp.from, sp.End, seen, false))
					if sp.End < studyFault {
						lines = append(lines, written(&sp.from, sp.End, placed, false))
					}
					for i := range lines {
						if orphans {
							lines[i].Trace, lines[i].Span = trace.ID{9: 1, 1: byte(i), 2: byte(sp.SpanID)}, sp.SpanID
						}
					}
					return lines
				})
				c := p.Counts()
				assert.Zero(t, c.LogsMisplaced)
				assert.Equal(t, orphans, c.LogsLost > 0)
				found := p.Explain(studyFault, studyEnd, contrast.Options{})
				require.NotEmpty(t, found)
				assert.Equal(t, "shop/orders", found[0].Name)
				assert.Equal(t, contrast.Logs, found[0].Evidence[0].Family)
				assert.Contains(t, p.Words(&found[0])[0], "a log line of template")
				var without contrast.Options
				without.Without[contrast.Logs] = true
				assert.Empty(t, p.Explain(studyFault, studyEnd, without), "nothing else tells")
			})
		}
	}
}

// Errors by the hundred of a service that is not to blame, from the beginning or since the fault: the verdict stays, and
// without a fault there is none.
func TestLogNoiseDoesNotWin(t *testing.T) {
	noise := func(from int64) func(*span) []LogLine {
		return func(sp *span) (lines []LogLine) {
			if sp.Role == call.RoleServer && sp.from.Service == "gateway" {
				lines = append(lines, written(&sp.from, sp.End, seen, false))
				for sp.End >= from && len(lines) < 20 {
					lines = append(lines, written(&sp.from, sp.End, cried, true))
				}
			}
			return lines
		}
	}
	for name, from := range map[string]int64{"always": dawn, "with the fault": studyFault} {
		t.Run(name, func(t *testing.T) {
			s := newShop(7)
			s.run(dawn, studyFault, 20)
			s.alter = func(o *order) { o.ordersOwn += 60 * ms }
			s.run(studyFault, studyEnd, 20)
			p := newProbe(testSettings())
			lined(p, s.sorted(), 0, noise(from))
			require.NotEmpty(t, p.incidents)
			for _, in := range p.incidents {
				assert.Equal(t, "shop/orders", in.Verdict.Root)
			}
			found := p.Explain(studyFault, studyEnd, contrast.Options{})
			require.NotEmpty(t, found)
			assert.Equal(t, "shop/orders", found[0].Name)
		})
	}
	t.Run("nothing else", func(t *testing.T) {
		s := newShop(8)
		s.run(dawn, studyEnd, 20)
		p := newProbe(testSettings())
		lined(p, s.sorted(), 0, noise(studyFault))
		assert.Empty(t, p.incidents)
		for _, c := range p.Explain(studyFault, studyEnd, contrast.Options{}) {
			assert.Less(t, c.Score, 0.35, "%s: what is too little to be named", c.Name)
		}
	})
}

// Lines that find their spans speak by operation, and not once more by service.
func TestJoinedLinesAreNotCountedTwice(t *testing.T) {
	s := newShop(9)
	s.run(dawn, studyEnd, 5)
	p := newProbe(testSettings())
	lined(p, s.sorted(), 0, func(sp *span) []LogLine {
		if sp.Role != call.RoleServer || sp.from.Service != "orders" {
			return nil
		}
		l := written(&sp.from, sp.End, seen, false)
		if sp.End >= studyFault {
			l = written(&sp.from, sp.End, cried, true)
		}
		l.Trace, l.Span = sp.TraceID, sp.SpanID
		return []LogLine{l}
	})
	found := p.Explain(studyFault, studyEnd, contrast.Options{})
	require.NotEmpty(t, found)
	assert.Positive(t, found[0].Family[contrast.Structure])
	assert.Zero(t, found[0].Family[contrast.Logs])
}

// Who complains of each call that failed is hurt, and not to blame.
func TestComplaintsAreExplained(t *testing.T) {
	s := newShop(9)
	s.run(dawn, studyFault, 5)
	s.alter = func(o *order) { o.ordersOutcome = call.Fail }
	s.run(studyFault, studyEnd, 5)
	p := newProbe(testSettings())
	lined(p, s.sorted(), 0, func(sp *span) []LogLine {
		switch {
		case sp.Role == call.RoleServer && sp.from.Service == "gateway":
			return []LogLine{written(&sp.from, sp.End, seen, false)}
		case sp.Role == call.RoleClient && sp.from.Service == "gateway" && sp.Outcome.Bad():
			return []LogLine{written(&sp.from, sp.End, cried, true)}
		}
		return nil
	})
	found := p.Explain(studyFault, studyEnd, contrast.Options{})
	require.NotEmpty(t, found)
	for _, s := range found {
		assert.Zero(t, s.Family[contrast.Logs], s.Name)
	}
}

func TestLinesWithoutAPlace(t *testing.T) {
	s := newShop(2)
	s.run(dawn, dawn+5*second, 5)
	p := newProbe(testSettings())
	p.feed(64, s.sorted())
	head := p.Head()
	stranger := service("stranger", "x", "")
	for _, l := range []LogLine{
		written(&gateway, head+3600*second, seen, true), written(&gateway, head-3600*second, seen, true),
		written(&stranger, head, seen, true), written(&gateway, 0, seen, true),
	} {
		p.LearnLog(&l)
	}
	joined := written(&gateway, head+3600*second, seen, true)
	joined.Trace, joined.Span = trace.ID{1}, 1
	p.LearnLog(&joined)
	c := p.Counts()
	assert.EqualValues(t, 2, c.LogsMisplaced, "one that names its span needs no time")
	assert.EqualValues(t, 1, c.LogsUnplaced)
	assert.EqualValues(t, 1, c.LogsOfSpans)
	assert.EqualValues(t, 1, c.LogsOfServices)
	assert.Zero(t, c.LogTemplates)
	for i := range uint64(1000) {
		l := written(&gateway, head, i+1, false)
		p.LearnLog(&l)
	}
	assert.Positive(t, p.Counts().LogTemplates)
}

// BenchmarkLearnLog is a record that names no span.
func BenchmarkLearnLog(b *testing.B) {
	s := newShop(2)
	s.run(dawn, dawn+5*second, 5)
	p := newProbe(testSettings())
	p.feed(64, s.sorted())
	lines := []LogLine{written(&gateway, p.Head(), seen, false), written(&orders[0], p.Head(), cried, true)}
	b.ReportAllocs()
	for i := range b.N {
		p.LearnLog(&lines[i%2])
	}
}
