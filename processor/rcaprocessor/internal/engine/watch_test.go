// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// watchedFault feeds an engine with a Watch second by second: a database that is slow for 30 s.
func watchedFault(t *testing.T, limit int, each func(p *probe, w *Watch, at int64, spans []span)) (*probe, *Watch) {
	t.Helper()
	p := newProbe(testSettings())
	w := NewWatch(p.Engine, limit)
	spans := faulty(3, 20, slowDatabase)
	for at := dawn; len(spans) > 0; at += second {
		n := 0
		for n < len(spans) && spans[n].End < at {
			n++
		}
		if n > 0 {
			b := batchOf(spans[:n])
			p.Engine.Learn(b, nil)
			if w.Suspecting() {
				w.Note(b)
			}
			if each != nil {
				each(p, w, at, spans[:n])
			}
		}
		spans = spans[n:]
	}
	return p, w
}

// What a Watch is asked changes nothing of what the engine finds, and its traces have a bound.
func TestWatchChangesNothing(t *testing.T) {
	asked := 0
	p, w := watchedFault(t, 50, func(_ *probe, w *Watch, _ int64, spans []span) {
		asked += len(w.Mark(batchOf(spans), nil))
		assert.LessOrEqual(t, len(w.young)+len(w.old), 50)
	})
	require.NotZero(t, asked)
	require.NotEmpty(t, w.old)
	assert.Positive(t, w.Dropped())
	assert.Positive(t, w.Bytes())
	plain := newProbe(testSettings())
	plain.feed(100, faulty(3, 20, slowDatabase))
	require.NotEmpty(t, plain.identities())
	assert.Equal(t, plain.identities(), p.identities())
}

// The span at which a trace's trouble began is the root cause, be the trace at rest or not; the others are hurt by it.
func TestWatchKnowsTheOrigin(t *testing.T) {
	type key struct{ role call.Role }
	for _, after := range []int64{0, 20} { // seconds: not yet at rest, and at rest
		var waiting [][]span
		roles := map[Role]map[key]int{RootCause: {}, Symptom: {}}
		watchedFault(t, 10_000, func(p *probe, w *Watch, at int64, spans []span) {
			if at < dawn+2*minute+15*second || at > dawn+2*minute+60*second {
				return
			}
			waiting = append(waiting, spans)
			if int64(len(waiting)) <= after {
				return
			}
			b := batchOf(waiting[0])
			waiting = waiting[1:]
			for _, m := range w.Mark(b, nil) {
				require.NotNil(t, m.Incident)
				roles[m.Role][key{b.Calls[m.Call].Role}]++
				c := &b.Calls[m.Call]
				role, in := w.MarkLog(&b.Resources[c.Resource], trace.ID(c.TraceID), c.SpanID, false)
				assert.Equal(t, m.Incident, in)
				if c.Role != call.RoleClient { // who logs is the caller
					assert.Equal(t, m.Role, role)
				}
			}
		})
		assert.Positive(t, roles[RootCause][key{call.RoleClient}], "calls of the database")
		assert.Zero(t, roles[RootCause][key{call.RoleServer}])
		assert.Positive(t, roles[Symptom][key{call.RoleServer}])
	}
}

// In a trace whose trouble began where no incident has its root, spans are what their nodes are.
func TestWatchWithoutAnOrigin(t *testing.T) {
	p, w := watchedFault(t, 100, nil)
	require.NotNil(t, w)
	assert.True(t, w.Of(p.Engine))
	assert.False(t, (*Watch)(nil).Of(p.Engine))
	assert.False(t, w.Of(newProbe(testSettings()).Engine))
	assert.Empty(t, w.Mark(batchOf(nil), nil))
	role, in := w.MarkLog(&call.Resource{Service: "nobody"}, trace.ID{}, 0, true)
	assert.Zero(t, role)
	assert.Nil(t, in)
}

// A trace in which something was hurt before it was known to be part of an incident is a hurt one from then on; one in
// which only others were hurt is none.
func TestWatchRemembersWhatWasHurt(t *testing.T) {
	checked := false
	watchedFault(t, 100, func(p *probe, w *Watch, _ int64, _ []span) {
		if checked || len(p.published) == 0 {
			return
		}
		checked = true
		var part, other graph.OpID
		for op := graph.OpID(1); int(op) < p.graph.NumOps(); op++ {
			if p.part(op).role != 0 {
				part = op
			} else {
				other = op
			}
		}
		require.NotZero(t, part)
		require.NotZero(t, other)
		for id, op := range map[trace.ID]graph.OpID{{1}: part, {2}: other} {
			w.add(id).ops[0] = op
			role, in := w.MarkLog(&call.Resource{Service: "nobody"}, id, 0, false)
			if op == part {
				assert.Equal(t, Symptom, role)
				assert.Equal(t, p.published[0], in)
			} else {
				assert.Zero(t, role)
			}
		}
	})
	assert.True(t, checked)
}
