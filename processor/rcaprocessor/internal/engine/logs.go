// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"unsafe"

	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/contrast"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

const (
	// joinLogs is how many log lines wait for their traces at most.
	joinLogs = 1 << 17
	// joinSlack: a line that is written while a span begins waits for the span to end, this much at the least.
	joinSlack = 60 * second
)

// logLine is what is kept of a log record until its span's trace is at rest.
type logLine struct {
	span, template uint64
	at             int64 // when it was written
	next           int32 // line of the same trace, plus 1
	node           graph.NodeID
	grave          bool
}

// logJoiner keeps log lines by trace, in two generations: the older one is forgotten at once.
type logJoiner struct {
	young, old logGeneration
	limit      int   // lines of a generation
	hold       int64 // how long lines wait at the least, in nanoseconds of event time
	since      int64 // when the young generation began
	dropped    int64 // lines whose trace did not come in time
}

type logGeneration struct {
	heads   map[trace.ID]int32
	lines   []logLine
	waiting int // lines that were not taken
}

func newLogJoiner(limit int, hold int64) logJoiner {
	generation := func() logGeneration { return logGeneration{heads: map[trace.ID]int32{}} }
	return logJoiner{young: generation(), old: generation(), limit: max(limit/2, 1), hold: hold}
}

// add keeps a line that came when the newest event time was now.
func (j *logJoiner) add(id trace.ID, l logLine, now int64) {
	if len(j.young.lines) >= j.limit || now-j.since >= j.hold {
		j.turn(now)
	}
	g := &j.young
	l.next = g.heads[id]
	g.lines = append(g.lines, l)
	g.heads[id] = int32(len(g.lines))
	g.waiting++
}

// turn forgets the older generation.
func (j *logJoiner) turn(now int64) {
	j.dropped += int64(j.old.waiting)
	clear(j.old.heads)
	j.old.lines, j.old.waiting = j.old.lines[:0], 0
	j.old, j.young, j.since = j.young, j.old, now
}

// clear forgets all lines.
func (j *logJoiner) clear() {
	j.turn(0)
	j.turn(0)
}

// take appends the lines of a trace, and forgets them.
func (j *logJoiner) take(id trace.ID, out []logLine) []logLine {
	return j.young.take(id, j.old.take(id, out))
}

func (g *logGeneration) take(id trace.ID, out []logLine) []logLine {
	if g.waiting == 0 {
		return out
	}
	i := g.heads[id]
	if i == 0 {
		return out
	}
	for ; i > 0; i = g.lines[i-1].next {
		out = append(out, g.lines[i-1])
		g.waiting--
	}
	delete(g.heads, id)
	return out
}

func (j *logJoiner) bytes() int64 {
	const line, head = int64(unsafe.Sizeof(logLine{})), 32
	return line*int64(cap(j.young.lines)+cap(j.old.lines)) + head*int64(len(j.young.heads)+len(j.old.heads))
}

// LogLine is what is learned of a log record.
type LogLine struct {
	Trace    trace.ID // zero, as Span, where the record does not say
	Span     uint64
	Template uint64 // by package contrast
	At       int64  // unix nanoseconds; 0 where the record does not say
	Source   uint64 // call.Resource.Key of who wrote it
	Replica  uint64 // ReplicaKey of it
	Grave    bool   // of severity error or worse
}

// LearnLog files a log record: as one of its service, and, where it names its span, as one of that, when the trace is at
// rest. What comes after that, or of a time that is not to be believed, is counted as lost. A service that emits no
// spans is not known.
func (e *Engine) LearnLog(l *LogLine) {
	head, at := e.clock.Head(), l.At
	n := e.graph.Lookup(l.Source)
	if at == 0 {
		at = head
	}
	misplaced := at > head+e.study.logs.hold || at < head-e.study.logs.hold
	if n != 0 && !misplaced {
		in := e.graph.LookupInstance(n, l.Replica)
		e.study.store.Line(at, contrast.Node(n), contrast.Instance(in), l.Template, l.Grave)
	}
	switch {
	case l.Span != 0 && l.Trace != (trace.ID{}): // that it belongs to its span needs no clock
		e.counts.LogsOfSpans++
		kept := logLine{span: l.Span, template: l.Template, grave: l.Grave}
		if !misplaced {
			kept.node, kept.at = n, at
		}
		e.study.logs.add(l.Trace, kept, head)
	case n == 0:
		e.counts.LogsUnplaced++
	case misplaced:
		e.counts.LogsMisplaced++
	default:
		e.counts.LogsOfServices++
	}
}
