// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"unsafe"

	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/baseline"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/detect"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

const (
	opBytes       = int64(unsafe.Sizeof(opStats{}))
	nodeBytes     = int64(unsafe.Sizeof(nodeStats{}))
	instanceBytes = int64(unsafe.Sizeof(instanceStats{}))
	countsBytes   = int64(unsafe.Sizeof(baseline.Counts{}))
)

// opStats is what is kept of an operation.
type opStats struct {
	total baseline.Series // durations; bad counts failures
	own   baseline.Series // own time, or the gap of an answered call; bad counts own failures
	// What the operation's spans call, in healthy times.
	awaits   [maxAwaits]await
	runs     uint32
	answered uint32 // of outgoing calls
	asked    uint32
	called   int64 // number of the newest cell of what awaits counts
	entry    entryStats
	habits   habits
	reader   *readerStats     // of a consumer's operation
	retries  *baseline.Counts // attempts, and those of them that repeat a failed one, since there was one
	try      try
}

// bytes is what is held for an operation beside its row.
func (st *opStats) bytes() int64 {
	n := st.reader.bytes()
	if st.retries != nil {
		n += countsBytes
	}
	return n
}

// maxAwaits is how many callees of an operation are known.
const maxAwaits = 8

// await is a callee: n of the operation's spans called it, calls times in all.
type await struct {
	node     graph.NodeID
	n, calls uint32
	mark     uint32                  // serial of the span that counted last
	recent   [baseline.Recent]uint32 // calls per cell, healthy or not
}

// entryStats is what is kept of an operation at which units of work come in.
type entryStats struct {
	units, bad, slow          int64 // in the current second
	allUnits, allBad, allSlow int64 // in healthy times
	errors, slowness          detect.Gate
	heard                     int64 // end of the last second with a unit of work
	listed                    bool
}

// nodeStats is the immediate past of a node, second by second: who moved first.
type nodeStats struct {
	seconds [64]moment
	topic   *topicStats // of a topic
}

type moment struct {
	second int64
	calls  uint32
	hurt   uint32
}

// instanceStats is the immediate past of a replica.
type instanceStats struct {
	cells [baseline.Recent]instanceCell
	cell  int64
	last  int64 // when it was seen last
}

type instanceCell struct{ calls, bad uint32 }

func (s *instanceStats) observe(at int64, bad bool) {
	s.advance(at)
	c := &s.cells[baseline.CellOf(at)%baseline.Recent]
	c.calls++
	s.last = at
	if bad {
		c.bad++
	}
}

// window adds up the cells that lie wholly in [from, to).
func (s *instanceStats) window(from, to int64) (calls, bad int64) {
	lo := (from + baseline.CellWidth - 1) / baseline.CellWidth
	for k := max(lo, s.cell-baseline.Recent+1); k <= s.cell && (k+1)*baseline.CellWidth <= to; k++ {
		c := s.cells[k%baseline.Recent]
		calls += int64(c.calls)
		bad += int64(c.bad)
	}
	return calls, bad
}

func (e *Engine) node(n graph.NodeID) *nodeStats {
	for int(n) >= len(e.nodes) {
		e.nodes = append(e.nodes, nodeStats{})
	}
	return &e.nodes[n]
}

func (e *Engine) observeNode(n graph.NodeID, at int64, hurt bool) {
	if n == 0 {
		return
	}
	k := at / second
	m := &e.node(n).seconds[k%64]
	if m.second > k {
		return // a minute late
	}
	if m.second != k {
		*m = moment{second: k}
	}
	m.calls++
	if hurt {
		m.hurt++
	}
}

// firstMoved returns the start of the first second in [from, to) in which at least two calls of a node were
// hurt, a tenth of them or more; 0 when there is none.
func (e *Engine) firstMoved(n graph.NodeID, from, to int64) int64 {
	if int(n) >= len(e.nodes) {
		return 0
	}
	for k := max(from, to-64*second) / second; k < to/second; k++ {
		if m := &e.nodes[n].seconds[k%64]; m.second == k && m.hurt >= 2 && m.hurt*10 >= m.calls {
			return k * second
		}
	}
	return 0
}

// hurtTraces remembers the ids of hurt traces in two generations, so that the older half is forgotten at once.
type hurtTraces struct {
	young, old map[trace.ID]struct{}
	limit      int
	dropped    int64
}

func newHurtTraces(limit int) hurtTraces {
	return hurtTraces{young: map[trace.ID]struct{}{}, old: map[trace.ID]struct{}{}, limit: (limit + 1) / 2}
}

func (h *hurtTraces) add(id trace.ID) {
	if h.has(id) {
		return
	}
	if len(h.young) >= h.limit {
		h.dropped += int64(len(h.old))
		h.old, h.young = h.young, h.old
		clear(h.young)
	}
	h.young[id] = struct{}{}
}

func (h *hurtTraces) has(id trace.ID) bool {
	_, young := h.young[id]
	if young {
		return true
	}
	_, old := h.old[id]
	return old
}

func (h *hurtTraces) bytes() int64 {
	const each = int64(unsafe.Sizeof(trace.ID{})) * 3 / 2 // and the room that a map leaves
	return each * int64(len(h.young)+len(h.old))
}

func (h *hurtTraces) clear() {
	clear(h.young)
	clear(h.old)
}

// advance moves the window on to at.
func (s *instanceStats) advance(at int64) {
	k := baseline.CellOf(at)
	if k-s.cell >= baseline.Recent {
		s.cells, s.cell = [baseline.Recent]instanceCell{}, k
	}
	for s.cell < k {
		s.cell++
		s.cells[s.cell%baseline.Recent] = instanceCell{}
	}
}
