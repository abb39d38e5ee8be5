// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package blame tells the cause from its symptoms: where in a trace a failure or a delay began, and which
// component most of the hurt units of work in a window point to.
package blame

import (
	"slices"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// Reason says in what way a component is guilty.
type Reason uint8

const (
	Errors Reason = iota
	Latency
	Unavailable
	Throttled
	Saturation     // it stood in line, for a connection as a rule
	DNS            // its name was not found
	TLS            // its certificate, or the handshake, was refused
	Auth           // it was refused for want of credentials
	ClientRejected // what it asked was refused as wrong
	Shed           // it refused work to protect itself: a breaker, a full queue
	FanOut         // it asked for far more than usual
	Vanished       // it no longer does what it always did, and nothing fails
	Lag            // records lay in a topic for longer than usual
	NumReasons     = iota
)

func (r Reason) String() string {
	return [...]string{
		"errors", "latency", "unavailable", "throttled", "saturation", "dns", "tls", "auth", "client_rejected", "shed", "fan_out", "vanished", "lag",
	}[r]
}

// MaxPath is the most nodes of a path that are told apart.
const MaxPath = 8

// Path is the nodes from the entry to the origin; 0 where it is shorter than MaxPath.
type Path [MaxPath]graph.NodeID

func (p *Path) push(n graph.NodeID) {
	for i := range p {
		if i > 0 && p[i-1] == n {
			return
		}
		if p[i] == 0 {
			p[i] = n
			return
		}
	}
}

// Before returns the node on the path in front of n, 0 when there is none.
func (p *Path) Before(n graph.NodeID) graph.NodeID {
	if i := slices.Index(p[:], n); i > 0 {
		return p[i-1]
	}
	return 0
}

// Cut ends the path in front of n.
func (p *Path) Cut(n graph.NodeID) {
	if i := slices.Index(p[:], n); i >= 0 {
		clear(p[i:])
	}
}

// Origin is where the trouble of one unit of work began.
type Origin struct {
	Node graph.NodeID
	// Waits is what Node usually calls and this time did not get to while its own time grew: it may have
	// stood in line for it (a pool of connections), or failed without asking it (an open breaker). With Auth and
	// ClientRejected it is who refused, with FanOut who was asked. 0 when there is none.
	Waits graph.NodeID
	// Instance is the replica that it began at, or, where nobody answered, that called in vain.
	Instance graph.InstanceID
	Reason   Reason
	Path     Path
	// Span is the index of the span that the walk ended at.
	Span int32
}

// Facts is what the walk needs to know of operations.
type Facts interface {
	// Service returns whose operation it is, Callee whom it calls (an address resolved to its service), 0 for nobody.
	Service(op graph.OpID) graph.NodeID
	Callee(op graph.OpID) graph.NodeID
	// Excess returns by how much a duration exceeds the operation's normal median, OwnExcess the same of
	// own time or gap, in nanoseconds; 0 when it does not or nothing is known.
	Excess(op graph.OpID, total int64) int64
	OwnExcess(op graph.OpID, own int64) int64
	// Awaits returns a callee that the operation nearly always calls, and of which called counts much fewer
	// calls than usual; 0 for none.
	Awaits(op graph.OpID, called func(graph.NodeID) int) graph.NodeID
	// Starved says that a call timed out in no more than its normal time, or nearly so while its parent lost more by
	// itself, excess nanoseconds: what was left of a deadline was too little, and went elsewhere.
	Starved(s *trace.Span, excess int64) bool
	// Multiplies returns a callee of which called counts many more calls than the operation usually makes; 0 for none.
	Multiplies(op graph.OpID, called func(graph.NodeID) int) graph.NodeID
}

// Walk follows trouble down one trace.
type Walk struct {
	Facts Facts
	Spans []trace.Span
	Nodes []trace.Node
}

// Origin returns where the trouble of the unit of work that starts at span i began. It ends at the deepest
// failing call, descends into the slowest when nothing failed below, and stays where own time grew most.
func (w *Walk) Origin(i int32) Origin {
	o := Origin{}
	for range len(w.Spans) {
		next := w.step(i, &o)
		if next < 0 {
			break
		}
		i = next
	}
	o.Span = i
	return o
}

// step looks at span i. It returns the span to go on with, or -1 when o is complete.
func (w *Walk) step(i int32, o *Origin) int32 {
	op := graph.OpID(w.Spans[i].Op)
	o.Path.push(w.Facts.Service(op))
	if w.Spans[i].Role().Outgoing() {
		return w.outgoing(i, op, o)
	}
	failed := w.failedChild(i)
	if failed >= 0 && w.Spans[i].Outcome().Bad() {
		return failed
	}
	if failed < 0 && w.multiplied(i, op, o) {
		return -1
	}
	if c, excess := w.slowestChild(i); c >= 0 && excess > w.Facts.OwnExcess(op, w.Nodes[i].Own) && w.waited(i, op) {
		return c
	}
	if failed >= 0 { // it was absorbed; the pause before the next attempt may be what took the time
		return failed
	}
	w.own(i, op, o)
	return -1
}

// multiplied completes o when calls that were well took the time by their number alone.
func (w *Walk) multiplied(i int32, op graph.OpID, o *Origin) bool {
	excess := w.Facts.Excess(op, w.Spans[i].Duration())
	if excess == 0 {
		return false
	}
	n := w.Facts.Multiplies(op, func(n graph.NodeID) int { return w.calls(i, n) })
	if n == 0 || 2*w.spent(i, n) < excess {
		return false
	}
	o.Node, o.Instance, o.Waits, o.Reason = w.Facts.Service(op), graph.InstanceID(w.Spans[i].Instance), n, FanOut
	return true
}

// own completes o with span i, in which it began.
func (w *Walk) own(i int32, op graph.OpID, o *Origin) {
	s := &w.Spans[i]
	o.Node, o.Instance, o.Reason = w.Facts.Service(op), graph.InstanceID(s.Instance), reasonOf(s)
	awaited := func() graph.NodeID { return w.Facts.Awaits(op, func(n graph.NodeID) int { return w.calls(i, n) }) }
	switch {
	case s.Outcome().Bad() && s.Reason() == call.ReasonRejected:
		o.Reason, o.Waits = Shed, awaited()
	case w.stoodInLine(i, op, o, awaited):
	case s.Outcome().Bad():
		c := w.refusedChild(i)
		if c < 0 {
			o.Waits = awaited()
			return
		}
		o.Waits, o.Reason = w.Facts.Callee(graph.OpID(w.Spans[c].Op)), ClientRejected
		if w.Spans[c].Detail() == call.DetailAuth {
			o.Reason = Auth
		}
	case w.Facts.OwnExcess(op, w.Nodes[i].Own) > 0:
		o.Reason = Latency
	}
}

// stoodInLine completes o when span i took longer by itself and did not get to whom it usually calls, or too late.
func (w *Walk) stoodInLine(i int32, op graph.OpID, o *Origin, awaited func() graph.NodeID) bool {
	if w.Facts.OwnExcess(op, w.Nodes[i].Own) == 0 {
		return false
	}
	if o.Waits = awaited(); o.Waits == 0 {
		if c := w.failed(i, func(*trace.Span) bool { return true }); c >= 0 { // starved: others have been followed
			o.Waits = w.Facts.Callee(graph.OpID(w.Spans[c].Op))
		}
	}
	if s := &w.Spans[i]; o.Waits != 0 && !(s.Outcome().Bad() && s.Reason() == call.ReasonTimeout) { // its own time was up, in line or not
		o.Reason = Saturation
	}
	return o.Waits != 0
}

// refusedChild returns the last call of span i when its callee refused it as wrong, else -1.
func (w *Walk) refusedChild(i int32) int32 {
	last := int32(-1)
	for c := w.Nodes[i].FirstChild; c >= 0; c = w.Nodes[c].NextSibling {
		if !w.Nodes[c].Async && (last < 0 || w.Spans[c].End >= w.Spans[last].End) {
			last = c
		}
	}
	if last >= 0 && w.Spans[last].Role().Outgoing() && w.Spans[last].Outcome() == call.Ignored && w.Spans[last].Reason() == call.ReasonClient {
		return last
	}
	return -1
}

// waited says that time may be what went wrong with span i. A failure within twice the normal time has another cause
// than a child that took a little longer.
func (w *Walk) waited(i int32, op graph.OpID) bool {
	s := &w.Spans[i]
	return !s.Outcome().Bad() || 2*w.Facts.Excess(op, s.Duration()) > s.Duration()
}

func (w *Walk) outgoing(i int32, op graph.OpID, o *Origin) int32 {
	s := &w.Spans[i]
	if v := w.Nodes[i].Server; v >= 0 {
		server := &w.Spans[v]
		if server.Outcome().Bad() && !(w.Facts.OwnExcess(op, w.Nodes[i].Own) > 0 && w.starving(v)) {
			return v
		}
		// The callee did its work: the time went into the way to it, or the caller did not wait for it.
		slow := w.Facts.Excess(graph.OpID(server.Op), server.Duration())
		if slow >= w.Facts.OwnExcess(op, w.Nodes[i].Own) && (slow > 0 || !s.Outcome().Bad()) {
			return v
		}
		o.Instance = graph.InstanceID(server.Instance)
	} else if c := w.failedChild(i); c >= 0 { // spans of a driver below its own call
		return c
	}
	if o.Instance == 0 {
		o.Instance = graph.InstanceID(s.Instance)
	}
	o.Node = w.Facts.Callee(op)
	if o.Node == 0 {
		o.Node = w.Facts.Service(op)
	}
	o.Path.push(o.Node)
	o.Reason = reasonOf(s)
	return -1
}

// starving says that span i failed for want of time alone.
func (w *Walk) starving(i int32) bool {
	return w.Spans[i].Reason() == call.ReasonTimeout || w.failedChild(i) < 0 && w.failed(i, func(*trace.Span) bool { return true }) >= 0
}

// failedChild returns the failed synchronous child that ended last, -1 when none failed. Cancelled
// siblings are not failed, the Outcome says so; nor are starved ones.
func (w *Walk) failedChild(i int32) int32 {
	excess := w.Facts.OwnExcess(graph.OpID(w.Spans[i].Op), w.Nodes[i].Own)
	return w.failed(i, func(s *trace.Span) bool { return !w.Facts.Starved(s, excess) })
}

func (w *Walk) failed(i int32, counts func(*trace.Span) bool) int32 {
	best := int32(-1)
	for c := w.Nodes[i].FirstChild; c >= 0; c = w.Nodes[c].NextSibling {
		if w.Nodes[c].Async || !w.Spans[c].Outcome().Bad() || !counts(&w.Spans[c]) {
			continue
		}
		if best < 0 || w.Spans[c].End >= w.Spans[best].End {
			best = c
		}
	}
	return best
}

func (w *Walk) slowestChild(i int32) (int32, int64) {
	best, most := int32(-1), int64(0)
	for c := w.Nodes[i].FirstChild; c >= 0; c = w.Nodes[c].NextSibling {
		if w.Nodes[c].Async {
			continue
		}
		if e := w.Facts.Excess(graph.OpID(w.Spans[c].Op), w.Spans[c].Duration()); e > most {
			best, most = c, e
		}
	}
	return best, most
}

// calls returns how often span i, or internal spans below it, called n.
func (w *Walk) calls(i int32, n graph.NodeID) int {
	count := 0
	for c := w.Nodes[i].FirstChild; c >= 0; c = w.Nodes[c].NextSibling {
		switch {
		case w.Spans[c].Role().Outgoing():
			if w.Facts.Callee(graph.OpID(w.Spans[c].Op)) == n {
				count++
			}
		case w.Spans[c].Role() == call.RoleInternal:
			count += w.calls(c, n)
		}
	}
	return count
}

// spent returns how long span i, or internal spans below it, waited for calls of n.
func (w *Walk) spent(i int32, n graph.NodeID) (sum int64) {
	for c := w.Nodes[i].FirstChild; c >= 0; c = w.Nodes[c].NextSibling {
		switch {
		case w.Spans[c].Role().Outgoing():
			if w.Facts.Callee(graph.OpID(w.Spans[c].Op)) == n {
				sum += w.Spans[c].Duration()
			}
		case w.Spans[c].Role() == call.RoleInternal:
			sum += w.spent(c, n)
		}
	}
	return sum
}

func reasonOf(s *trace.Span) Reason {
	switch {
	case s.Outcome().Bad() && s.Detail() == call.DetailDNS:
		return DNS
	case s.Outcome().Bad() && s.Detail() == call.DetailTLS:
		return TLS
	case s.Outcome().Bad() && s.Detail() == call.DetailAuth:
		return Auth
	case s.Outcome() == call.Throttled:
		return Throttled
	case !s.Outcome().Bad(), s.Reason() == call.ReasonTimeout:
		return Latency
	case s.Reason() == call.ReasonUnreachable:
		return Unavailable
	}
	return Errors
}
