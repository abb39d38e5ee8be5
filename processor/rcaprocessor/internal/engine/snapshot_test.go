// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/snapshot"
)

var update = flag.Bool("update", false, "write the golden state anew")

const roomy = 32 << 20

// restarted returns a new engine that goes on where p leaves off.
func restarted(t require.TestingT, p *probe) *probe {
	payload, lost, err := p.Snapshot(roomy, 0)
	require.NoError(t, err)
	require.Zero(t, lost)
	return restored(t, p.set, payload)
}

func restored(t require.TestingT, set Settings, payload []byte) *probe {
	p := new(probe)
	var err error
	p.Engine, err = Restore(set, payload, func(in incident.Incident) { p.incidents = append(p.incidents, in) })
	require.NoError(t, err)
	return p
}

// said is all that an engine's records are made of.
func said(t require.TestingT, incidents []incident.Incident) string {
	var all []any
	for _, in := range incidents {
		all = append(all, in, in.State, in.Verdict.Onset, in.Verdict.TraceID, in.Verdict.SpanID)
	}
	b, err := json.MarshalIndent(all, "", " ")
	require.NoError(t, err)
	return string(b)
}

// What is read back is what was written, to the last field: a field that is forgotten shows here.
func TestStateIsWhole(t *testing.T) {
	p := newProbe(testSettings())
	spans := faulty(11, 20, slowDatabase)
	p.feed(512, spans[:len(spans)*3/4]) // an incident is open
	require.Len(t, p.Open(), 1)
	q := restarted(t, p)

	assert.Equal(t, *p.clock, *q.clock)
	for _, g := range []*graph.Graph{p.graph, q.graph} {
		g.Evict(0, nil, nil, nil) // nothing but what is cached
	}
	assert.Equal(t, p.graph, q.graph)
	assert.Equal(t, p.keeper, q.keeper)
	assert.Equal(t, p.shown(), q.shown())
	assert.Equal(t, p.roles(), q.roles())
	assert.Equal(t, p.taints, q.taints)
	assert.Equal(t, p.nodes, q.nodes[:len(p.nodes)])
	assert.Equal(t, p.instances, q.instances)
	assert.Equal(t, p.ledger.Window(0, math.MaxInt64-second), q.ledger.Window(0, math.MaxInt64-second))
	assert.ElementsMatch(t, p.touched, q.touched)
	assert.ElementsMatch(t, p.lagging, q.lagging)
	assert.Equal(t, p.sent, q.sent)
	assert.Positive(t, q.sent.Len())
	assert.ElementsMatch(t, p.lapsing, q.lapsing)
	assert.Equal(t, p.orphans.SlowThreshold(), q.orphans.SlowThreshold(), "which is cached")
	assert.Equal(t, p.orphans, q.orphans)
	assert.Equal(t, []int64{p.began, p.now, p.units, p.evictedAt, p.lastBad, p.table.Told()},
		[]int64{q.began, q.now, q.units, q.evictedAt, q.lastBad, q.table.Told()})
	require.Len(t, q.ops, len(p.ops))
	for i := range p.ops {
		a, b := p.ops[i], q.ops[i]
		for _, s := range []*opStats{&a, &b} { // what is cached, and what belongs to the trace at hand
			s.total.SlowThreshold()
			s.own.SlowThreshold()
			if s.try = (try{}); s.reader != nil {
				s.reader.overdue(0)
			}
			for k := range s.awaits {
				s.awaits[k].mark = 0
			}
		}
		assert.Equal(t, a, b, p.OpName(graph.OpID(i)))
	}
	again, _, err := q.Snapshot(roomy, 0)
	require.NoError(t, err)
	first, _, err := p.Snapshot(roomy, 0)
	require.NoError(t, err)
	assert.Equal(t, first, again, "and writes the same")
}

// shown is the open incidents as they are published, but for the second that was bad last: that one moves on.
func (p *probe) shown() (out []incident.Incident) {
	for _, in := range p.published {
		in := *in
		in.LastBad = 0
		out = append(out, in)
	}
	return out
}

// roles is what nodes are, in which incident.
func (p *probe) roles() map[string]string {
	out := map[string]string{}
	for n, part := range p.parts {
		out[p.NodeName(n)] = part.role.String() + " of " + part.incident.ID
	}
	return out
}

// Of every field of an engine it has been decided whether it outlives a restart.
func TestEveryFieldIsDecided(t *testing.T) {
	saved := []string{"clock", "graph", "ledger", "keeper", "ops", "instances", "nodes", "taints", "began", "now", "units", "evictedAt", "lastBad", "sent", "study", "orphans"}
	derived := []string{"touched", "parts", "lapsing", "published", "restoredAt", "lagging", "sideBytes"}
	given := []string{"set", "onChange", "visit", "tick"}
	passing := []string{"table", "walker", "walk", "hurt", "serial", "called", "traces", "receipts", "batch", "sources", "counts", "levels"}
	for f := range reflect.TypeFor[Engine]().Fields() {
		assert.Contains(t, slices.Concat(saved, derived, given, passing), f.Name,
			"write it in snapshot.go and raise snapshot.Version, or say here that it need not outlive a restart")
	}
}

// An engine that was restarted at any moment says of what comes after the same, to the byte, as one that was not.
func TestRestartChangesNothing(t *testing.T) {
	t.Parallel()
	heard := 0
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64Range(1, 1000).Draw(t, "seed")
		fault := faults[rapid.SampledFrom([]string{"slow database", "failing orders", "orders are gone", "a bad version"}).Draw(t, "fault")]
		pause := second * rapid.SampledFrom([]int64{1, 20, 61, 600, 3000}).Draw(t, "pause")
		healthy := second * rapid.Int64Range(40, 130).Draw(t, "before")
		s := newShop(seed)
		at := dawn
		run := func(long int64, alter func(*order)) []span {
			s.alter = alter
			s.run(at, at+long, 12)
			at += long
			return s.sorted()
		}
		before := run(healthy, nil)
		if rapid.Bool().Draw(t, "in an incident") {
			before = append(before, run(25*second, fault)...)
		}
		at += pause
		after := append(run(40*second, nil), run(30*second, fault)...)
		after = append(after, run(80*second, nil)...)

		whole := newProbe(testSettings())
		whole.feed(100, before)
		whole.Idle()
		broken := restarted(t, whole)
		first := len(whole.incidents)
		for _, p := range []*probe{whole, broken} {
			p.feed(100, after)
			p.Idle()
		}
		heard += len(broken.incidents)
		require.Equal(t, said(t, whole.incidents[first:]), said(t, broken.incidents))
		require.Equal(t, whole.Ready(), broken.Ready())
	})
	assert.Positive(t, heard, "the property says something")
}

// The baseline comes with the state: an incident right after a restart is found, where a cold engine still learns.
func TestWarmVerdict(t *testing.T) {
	s := newShop(21)
	s.run(dawn, dawn+2*minute, 20)
	p := newProbe(testSettings())
	p.feed(512, s.sorted())
	p.Idle()
	warm, cold := restarted(t, p), newProbe(testSettings())
	assert.True(t, warm.Ready())
	s.run(dawn+5*minute, dawn+5*minute+10*second, 20)
	s.alter = slowDatabase
	s.run(dawn+5*minute+10*second, dawn+5*minute+29*second, 20)
	after := s.sorted()
	for _, q := range []*probe{warm, cold} {
		q.feed(512, after)
		q.Idle()
	}
	require.NotEmpty(t, warm.incidents)
	assert.Equal(t, "postgresql/shop", warm.incidents[0].Verdict.Root)
	assert.Empty(t, cold.incidents)
}

// An incident that is still there goes on under its id; one that ended meanwhile is resolved.
func TestIncidentOutlivesRestart(t *testing.T) {
	s := newShop(22)
	s.run(dawn, dawn+2*minute, 20)
	s.alter = slowDatabase
	s.run(dawn+2*minute, dawn+2*minute+30*second, 20)
	p := newProbe(testSettings())
	p.feed(512, s.sorted())
	p.Idle()
	require.Len(t, p.Open(), 1)
	id := p.Open()[0].ID
	payload, _, err := p.Snapshot(roomy, 0)
	require.NoError(t, err)

	t.Run("it goes on", func(t *testing.T) {
		q := restored(t, p.set, payload)
		require.Len(t, q.Published(), 1)
		s := newShop(23)
		s.alter = slowDatabase
		s.run(dawn+3*minute, dawn+3*minute+40*second, 20)
		p := len(q.incidents)
		q.feed(512, s.sorted())
		require.Len(t, q.Open(), 1)
		assert.Equal(t, id, q.Open()[0].ID)
		assert.Positive(t, q.marks, "its spans are marked")
		s.alter = nil
		s.run(dawn+3*minute+40*second, dawn+6*minute, 20)
		q.feed(512, s.sorted())
		q.Idle()
		require.Empty(t, q.Open())
		for _, in := range q.incidents[p:] {
			assert.Equal(t, id, in.ID)
			assert.NotEqual(t, incident.Opened, in.State)
		}
	})
	for name, away := range map[string]int64{"an hour": 60 * minute, "two days": 48 * 60 * minute} {
		t.Run("it ended within "+name, func(t *testing.T) {
			q := restored(t, p.set, payload)
			s := newShop(24)
			s.run(dawn+away, dawn+away+10*second, 20)
			q.feed(512, s.sorted())
			q.Idle()
			require.Len(t, q.incidents, 1)
			assert.Equal(t, incident.Resolved, q.incidents[0].State)
			assert.Equal(t, id, q.incidents[0].ID)
			if away > openWindows {
				assert.Less(t, q.incidents[0].Resolved, dawn+3*minute, "it ended when it was last seen")
			}
		})
	}
}

// What is normal outlives a week without the engine; windows that were open do not.
func TestOldStateSaysWhatIsNormal(t *testing.T) {
	s := newShop(25)
	s.run(dawn, dawn+2*minute, 20)
	s.alter = slowDatabase
	s.run(dawn+2*minute, dawn+2*minute+5*second, 20)
	p := newProbe(testSettings())
	p.feed(512, s.sorted())
	p.Idle()
	q := restarted(t, p)
	size, _ := q.Size()
	week := 7 * 24 * 60 * minute
	s.alter = nil
	s.run(dawn+week, dawn+week+15*second, 20)
	q.feed(512, s.sorted())
	now, _ := q.Size()
	assert.Equal(t, size.Ops, now.Ops, "nothing was forgotten")
	assert.Empty(t, q.ledger.Window(0, dawn+week))
	s.alter = slowDatabase
	s.run(dawn+week+15*second, dawn+week+40*second, 20)
	q.feed(512, s.sorted())
	q.Idle()
	require.Len(t, q.Open(), 1)
	assert.Equal(t, "postgresql/shop", q.Open()[0].Verdict.Root)
	assert.InDelta(t, dawn+week+15*second, q.Open()[0].Onset, float64(2*second))
}

// The bound holds whatever there is to say; what finds no room is counted, and what did is of use.
func TestStateBound(t *testing.T) {
	p := newProbe(testSettings())
	p.feed(512, faulty(12, 20, slowDatabase))
	all, lost, err := p.Snapshot(roomy, 0)
	require.NoError(t, err)
	require.Zero(t, lost)
	fits := false
	for limit := 0; limit <= len(all)+tail; limit += 50 {
		some, lost, err := p.Snapshot(limit, 0)
		if err != nil {
			require.False(t, fits, "more room is never worse")
			continue
		}
		fits = true
		require.LessOrEqual(t, len(some), limit)
		require.Equal(t, len(some) == len(all), lost == 0, "%d bytes, %d lost", len(some), lost)
		q := restored(t, p.set, some)
		q.Idle()
	}
	require.True(t, fits)
}

// A state that holds more than the configuration allows is refused as such.
func TestStateBeyondLimits(t *testing.T) {
	p := newProbe(testSettings())
	p.feed(512, faulty(12, 20, slowDatabase))
	payload, _, err := p.Snapshot(roomy, 0)
	require.NoError(t, err)
	for what, lower := range map[string]func(*graph.Limits){
		"nodes":      func(l *graph.Limits) { l.Nodes = 2 },
		"operations": func(l *graph.Limits) { l.AllOps = 2 },
		"instances":  func(l *graph.Limits) { l.AllInstances = 2 },
		"edges":      func(l *graph.Limits) { l.Edges = 2 },
	} {
		set := testSettings()
		lower(&set.Graph)
		_, err := Restore(set, payload, nil)
		require.ErrorIs(t, err, snapshot.ErrSettings)
		assert.ErrorContains(t, err, what)
	}
	a, b, c := testSettings(), testSettings(), testSettings()
	b.Lateness++
	c.WarmUp++
	assert.NotEqual(t, a.Fingerprint(), b.Fingerprint())
	assert.Equal(t, a.Fingerprint(), c.Fingerprint())
}

// small is a state of a few kB in the middle of an incident.
func small(t testing.TB) []byte {
	t.Helper()
	s := newShop(31)
	s.run(dawn, dawn+40*second, 12)
	s.alter = slowDatabase
	s.run(dawn+40*second, dawn+55*second, 12)
	p := newProbe(tight())
	p.feed(512, s.sorted())
	p.Idle()
	if len(p.Open()) == 0 {
		t.Fatal("the state has no incident")
	}
	payload, _, err := p.Snapshot(roomy, 0)
	require.NoError(t, err)
	return payload
}

func tight() Settings {
	set := testSettings()
	set.Graph.AllOps, set.Graph.AllInstances = 60, 60
	return set
}

// use has an engine of a state of any content work: it may be wrong, but must not panic.
func use(t testing.TB, payload []byte, after []*call.Batch) {
	e, err := Restore(tight(), payload, func(incident.Incident) {})
	if err != nil {
		return
	}
	for _, b := range after {
		e.Learn(b, nil)
	}
	e.Idle()
	_, _, err = e.Snapshot(roomy, 0)
	require.NoError(t, err)
}

func aftermath() (all []*call.Batch) {
	s := newShop(32)
	s.alter = slowDatabase
	s.run(dawn+56*second, dawn+66*second, 4)
	s.alter = nil
	s.run(dawn+66*second, dawn+100*second, 2)
	return append(all, batchOf(s.sorted()))
}

// Every byte of a state flipped, and every beginning of it: an error or an engine, never a panic.
func TestHostileStates(t *testing.T) {
	t.Parallel()
	payload, after := small(t), aftermath()
	step := len(payload)/1500 | 1 // FuzzDecode tries the rest
	if testing.Short() {
		step *= 7
	}
	for i := 0; i < len(payload); i += step {
		b := append([]byte(nil), payload...)
		b[i] ^= byte(1 << (i % 8))
		use(t, b, after)
		_, err := Restore(tight(), payload[:i], nil)
		require.ErrorIs(t, err, snapshot.ErrCorrupt, "cut at %d", i)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(small(f))
	f.Add([]byte{})
	after := aftermath()
	f.Fuzz(func(t *testing.T, payload []byte) { use(t, payload, after) })
}

// States of this form have been written by released builds: they stay readable, or snapshot.Version goes up.
func TestGoldenState(t *testing.T) {
	file := filepath.Join("testdata", "state.golden")
	if *update {
		payload := small(t)
		h := snapshot.Header{Chunks: 1, Size: uint64(len(payload)), Sum: snapshot.Sum(payload)}
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, append(h.Encode(), payload...), 0o644))
	}
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	h, err := snapshot.DecodeHeader(b[:snapshot.HeaderSize])
	require.NoError(t, err, "the version has gone up: write the golden state anew with -update")
	payload := b[snapshot.HeaderSize:]
	require.NoError(t, h.Check(payload))
	q := restored(t, tight(), payload)
	again, _, err := q.Snapshot(roomy, 0)
	require.NoError(t, err)
	assert.Equal(t, payload, again, "the form has changed: raise snapshot.Version, then write the golden state anew with -update")
	require.Len(t, q.Open(), 1)
	assert.Equal(t, "postgresql/shop", q.Open()[0].Verdict.Root)
	assert.True(t, q.Ready())
	size, _ := q.Size()
	assert.Equal(t, 5, size.Nodes-1, "three services, a database, a topic, and an address")
}
