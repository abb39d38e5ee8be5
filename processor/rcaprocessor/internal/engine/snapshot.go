// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/firebreak-otel/firebreak/internal/watermark"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/baseline"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/blame"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/contrast"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/queue"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/snapshot"
)

// openWindows is how long, in event time, windows and an open incident outlive the engine. An older state says what
// is normal, and nothing more.
const openWindows = 24 * 3600 * second

// Fingerprint tells settings apart under which a state means something else.
func (s *Settings) Fingerprint() uint64 {
	return xxhash.Sum64String(fmt.Sprintf("lateness %d quiet %d series %v ledger %d moments %d contrast %v",
		s.Lateness, s.Quiet, baseline.Shape(), ledgerSeconds, len(nodeStats{}.seconds), contrast.Shape()))
}

// Head returns the newest event time seen, in unix nanoseconds; 0 before the first span.
func (e *Engine) Head() int64 { return e.clock.Head() }

// Snapshot returns what the engine knows in limit bytes at the most, and the number of rows (statistics of an
// operation, a replica, a node; hurt units of work) that found no room. Spans that wait for the rest of their trace
// are no part of it: call Idle first where no more will come. It reads the engine only. room is a guess of the size.
func (e *Engine) Snapshot(limit, room int) (payload []byte, lost int64, err error) {
	c := snapshot.NewWriter(min(room, limit))
	e.snapshotCore(c)
	if c.Err() == nil && c.Len()+tail > limit {
		return nil, 0, fmt.Errorf("the service graph alone takes %d bytes, and %d are allowed", c.Len()+tail, limit)
	}
	lost = e.snapshotRows(c, limit)
	return c.Bytes(), lost, c.Err()
}

// Restore makes an engine that goes on where the one that wrote payload left off. Its error wraps
// snapshot.ErrCorrupt, or snapshot.ErrSettings when the payload holds more than set allows. What it allocates is
// bounded by the payload's length and by set.
func Restore(set Settings, payload []byte, onChange func(incident.Incident)) (*Engine, error) {
	e := New(set, onChange)
	c := snapshot.NewReader(payload)
	e.snapshotCore(c)
	if c.Err() == nil {
		e.study.calls = make([]calls, e.graph.NumOps())
		e.ops = make([]opStats, e.graph.NumOps())
		e.nodes = make([]nodeStats, e.graph.NumNodes())
		e.instances = make([]instanceStats, e.graph.NumInstances())
		e.snapshotRows(c, math.MaxInt)
		e.study.store.Restored()
	}
	if c.Err() == nil && c.Len() > 0 {
		c.Fail("something follows its end")
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	if e.now > 0 {
		// Seconds long past are not gone through one by one: nothing is held of them.
		e.table.Resume(max(e.now, e.clock.Mark()-slack(&set)) / second)
	}
	for i := range e.ops {
		if e.ops[i].entry.listed {
			e.touched = append(e.touched, graph.OpID(i))
		}
		if e.ops[i].habits.listed {
			e.lapsing = append(e.lapsing, graph.OpID(i))
		}
		if r := e.ops[i].reader; r != nil && r.listed {
			e.lagging = append(e.lagging, graph.OpID(i))
		}
		e.sideBytes += e.ops[i].bytes()
	}
	for i := range e.nodes {
		e.sideBytes += e.nodes[i].topic.bytes()
	}
	e.publish(e.keeper.Open())
	e.restoredAt = e.clock.Head()
	return e, nil
}

// snapshotCore passes what must be there as a whole.
func (e *Engine) snapshotCore(c *snapshot.Codec) {
	snapshotClock(c, e.clock)
	furthest := e.clock.Head() + slack(&e.set)
	c.Time(&e.began)
	c.Time(&e.now)
	c.Time(&e.units)
	c.Time(&e.evictedAt)
	c.Time(&e.lastBad)
	if c.Reading() && max(e.now, e.began, e.evictedAt, e.lastBad) > furthest {
		c.Fail("its times lie ahead of its clock")
	}
	e.snapshotTaints(c)
	e.orphans.Snapshot(c)
	e.keeper.Snapshot(c)
	e.graph.Snapshot(c)
	e.study.store.SnapshotCore(c)
}

// slack is how far times of one engine may lie apart.
func slack(s *Settings) int64 { return s.Lateness + s.Quiet + 60*second }

func snapshotClock(c *snapshot.Codec, k *watermark.Clock) {
	all := k.Words()
	for i := range all {
		c.Int(&all[i])
	}
	if c.Reading() && !k.SetWords(all) {
		c.Fail("the clock is impossible")
	}
}

// snapshotTaints passes the cells under suspicion that are remembered.
func (e *Engine) snapshotTaints(c *snapshot.Codec) {
	held := 0
	for _, cell := range e.taints {
		if cell != 0 {
			held++
		}
	}
	held = c.Count(held, taintCells, "cells under suspicion")
	for i := 0; held > 0 && c.Err() == nil; held-- {
		var cell int64
		if !c.Reading() {
			for e.taints[i] == 0 {
				i++
			}
			cell = e.taints[i]
			i++
		}
		if c.Time(&cell); c.Reading() {
			e.taints[cell%taintCells] = cell
		}
	}
}

// rows passes what is kept under handles, where a handle is passed in front of each row and 0 ends them. What would
// lead beyond limit is left out and counted.
func rows[H ~uint32](c *snapshot.Codec, limit, handles int, held func(H) bool, row func(H)) (lost int64) {
	next := func(h *H) bool {
		if c.Reading() {
			snapshot.Uint(c, h, math.MaxUint32)
			if *h != 0 && !held(*h) {
				c.Fail("a row belongs to nothing")
			}
			return *h != 0 && c.Err() == nil
		}
		for *h++; int(*h) < handles; *h++ {
			if held(*h) {
				return true
			}
		}
		return false
	}
	for h := H(0); next(&h); {
		before := c.Len()
		if !c.Reading() {
			snapshot.Uint(c, &h, math.MaxUint32)
		}
		if row(h); !c.Reading() && c.Len()+tail > limit {
			c.Truncate(before)
			lost++
		}
	}
	if end := H(0); !c.Reading() {
		snapshot.Uint(c, &end, 0)
	}
	return lost
}

// tail is the room for the ends of all lists.
const tail = 10

// snapshotRows passes what can be done without, the most useful first; it returns how many rows found no room.
func (e *Engine) snapshotRows(c *snapshot.Codec, limit int) (lost int64) {
	lost += rows(c, limit, len(e.ops), e.graph.HasOp, func(op graph.OpID) { e.snapshotOp(c, &e.ops[op]) })
	lost += rows(c, limit, len(e.instances), e.graph.HasInstance, func(i graph.InstanceID) { e.instances[i].snapshot(c) })
	lost += rows(c, limit, len(e.nodes), func(n graph.NodeID) bool { return n != 0 && e.graph.HasNode(n) },
		func(n graph.NodeID) { e.nodes[n].snapshot(c) })
	before := c.Len()
	h := blame.Handles{Ops: e.graph.NumOps(), Nodes: e.graph.NumNodes(), Instances: e.graph.NumInstances()}
	if e.ledger.Snapshot(c, h); !c.Reading() && c.Len() > limit {
		c.Truncate(before)
		lost += int64(e.ledger.Rows())
		blame.NewLedger(1, 1).Snapshot(c, h)
	}
	most := max(0, limit-c.Len()-tail) / queue.PublishBytes
	lost += int64(max(0, e.sent.Len()-most))
	e.sent.Snapshot(c, most, func(n graph.NodeID) bool { return n != 0 && e.graph.HasNode(n) })
	held := contrast.Handles{
		Node:     func(n contrast.Node) bool { return n != 0 && e.graph.HasNode(graph.NodeID(n)) },
		Op:       func(op contrast.Op) bool { return e.graph.HasOp(graph.OpID(op)) },
		Instance: func(i contrast.Instance) bool { return e.graph.HasInstance(graph.InstanceID(i)) },
	}
	lost += rows(c, limit, len(e.study.calls), e.graph.HasOp, func(op graph.OpID) {
		e.snapshotCalls(c, &e.study.calls[op])
		e.study.store.SnapshotOp(c, contrast.Op(op), &held)
	})
	lost += rows(c, limit, e.graph.NumNodes(), func(n graph.NodeID) bool { return n != 0 && e.graph.HasNode(n) },
		func(n graph.NodeID) { e.study.store.SnapshotNode(c, contrast.Node(n), &held) })
	return lost
}

func (e *Engine) snapshotOp(c *snapshot.Codec, st *opStats) {
	st.total.Snapshot(c)
	st.own.Snapshot(c)
	for i := range st.awaits {
		a := &st.awaits[i]
		if snapshot.Uint(c, &a.node, math.MaxUint32); a.node == 0 {
			continue
		}
		snapshot.Uint(c, &a.n, math.MaxUint32)
		snapshot.Uint(c, &a.calls, math.MaxUint32)
		for k := range a.recent {
			snapshot.Uint(c, &a.recent[k], math.MaxUint32)
		}
		if c.Reading() && !e.graph.HasNode(a.node) {
			c.Fail("an operation awaits nobody")
		}
	}
	snapshot.Uint(c, &st.runs, math.MaxUint32)
	snapshot.Uint(c, &st.answered, math.MaxUint32)
	snapshot.Uint(c, &st.asked, math.MaxUint32)
	st.habits.snapshot(c)
	c.Time(&st.called)
	if optional(c, &st.reader) {
		st.reader.snapshot(c)
	}
	if optional(c, &st.retries) {
		st.retries.Snapshot(c)
	}
	en := &st.entry
	used := *en != entryStats{}
	if c.Bool(&used); !used {
		return
	}
	for _, n := range []*int64{&en.units, &en.bad, &en.slow, &en.allUnits, &en.allBad, &en.allSlow, &en.heard} {
		c.Time(n)
	}
	en.errors.Snapshot(c)
	en.slowness.Snapshot(c)
	c.Bool(&en.listed)
}

func (h *habits) snapshot(c *snapshot.Codec) {
	used := *h != habits{}
	if c.Bool(&used); !used {
		return
	}
	for _, n := range []*int64{&h.runs, &h.broken, &h.allRuns, &h.allBroken} {
		c.Time(n)
	}
	for i := range h.left {
		c.Time(&h.left[i])
		c.Time(&h.with[i])
	}
	h.gate.Snapshot(c)
	c.Bool(&h.listed)
	c.Bool(&h.frozen)
}

// optional passes whether something is held; where it is read, it is made.
func optional[T any](c *snapshot.Codec, p **T) bool {
	held := *p != nil
	if c.Bool(&held); held && c.Reading() {
		*p = new(T)
	}
	return held
}

func (e *Engine) snapshotCalls(c *snapshot.Codec, of *calls) {
	for _, b := range []*bool{&of.answered, &of.busy, &of.several} {
		c.Bool(b)
	}
	if snapshot.Uint(c, &of.callee, math.MaxUint32); c.Reading() && !e.graph.HasNode(of.callee) {
		c.Fail("a call leads nowhere")
	}
}

// snapshot passes the seconds in which something happened, and what is known of a topic.
func (s *nodeStats) snapshot(c *snapshot.Codec) {
	held := 0
	for i := range s.seconds {
		if s.seconds[i].second != 0 {
			held++
		}
	}
	held = c.Count(held, len(s.seconds), "seconds of a node")
	for i := 0; held > 0 && c.Err() == nil; held-- {
		var m moment
		if !c.Reading() {
			for s.seconds[i].second == 0 {
				i++
			}
			m = s.seconds[i]
			i++
		}
		c.Time(&m.second)
		snapshot.Uint(c, &m.calls, math.MaxUint32)
		snapshot.Uint(c, &m.hurt, math.MaxUint32)
		if c.Reading() {
			s.seconds[m.second%int64(len(s.seconds))] = m
		}
	}
	if optional(c, &s.topic) {
		s.topic.snapshot(c)
	}
}

func (s *instanceStats) snapshot(c *snapshot.Codec) {
	c.Time(&s.last)
	if c.Time(&s.cell); s.cell == 0 {
		return
	}
	for i := range s.cells {
		snapshot.Uint(c, &s.cells[i].calls, math.MaxUint32)
		snapshot.Uint(c, &s.cells[i].bad, math.MaxUint32)
	}
}

// resumed takes account of the first leap of the clock after Restore, by nanoseconds: while nobody looked nothing was
// idle, and after a long time nothing is open any more.
func (e *Engine) resumed(by int64) {
	seen := e.restoredAt
	e.restoredAt = 0
	e.graph.Postpone(by)
	if by <= openWindows {
		return
	}
	e.ledger.Reset()
	e.lastBad = 0
	for _, op := range e.touched {
		e.ops[op].entry.errors.Reset()
		e.ops[op].entry.slowness.Reset()
	}
	for _, op := range e.lagging {
		e.ops[op].reader.reset()
	}
	for _, in := range e.keeper.Lapse(seen) {
		e.publish(nil)
		e.onChange(in)
	}
}
