// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"fmt"
	"strings"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/storm"
)

const (
	second = int64(1e9)
	tick   = second / 4
)

func testSettings() Settings {
	return Settings{
		Circuit: &circuit.Config{
			Window: 10 * second, FailureRatio: 0.5, MinimumCalls: 5, Confidence: 3.09, FailureFloor: 0.25,
			FastWindow: 2 * second, FastRatio: 0.9, FastCalls: 20, BaselineFactor: 3, BaselineCap: 0.9,
			LoadConfidence: 5, LoadCalls: 50, SlowRatio: 0.9, SlowCalls: 20, CloseRatio: 0.1, ProbeCalls: 10,
			OpenDuration: 5 * second, MaxOpenDuration: 300 * second,
		},
		Buckets: 10, Bucket: second, MaxEdges: 100, MaxOperations: 3, Idle: 600 * second, MaxOpenShare: 1,
		SlowFactor: 5, SlowFloor: second, Settling: 5 * second,
	}
}

// world feeds a table as the engine does.
type world struct {
	*Table
	now, next int64
	spans     uint64
	events    []string
	told      []Event
}

func newWorld(s Settings) *world {
	w := &world{Table: NewTable(s), spans: 1}
	w.at(0)
	return w
}

// warm is a world that has seen a minute go by.
func warm(s Settings) *world {
	w := newWorld(s)
	w.at(60 * second)
	return w
}

func service(name string) *call.Resource { return &call.Resource{Service: name} }

func named(name string) call.Peer { return call.Peer{Kind: call.NodeService, Name: name} }

func address(host string, port int32) call.Peer {
	return call.Peer{Kind: call.NodeExternal, Address: host, Port: port}
}

var shopDB = call.Peer{Kind: call.NodeDatabase, System: "postgresql", Name: "shop"}

// at moves the head, and lets the breakers decide every quarter of a second on the way.
func (w *world) at(now int64) {
	for ; w.next <= now; w.next += tick {
		w.Advance(w.next)
		w.Step(w.next, w.tell)
	}
	w.now = now
	w.Advance(now)
}

func (w *world) tell(ev Event) {
	w.told = append(w.told, ev)
	w.events = append(w.events, ev.Edge.Name()+" "+what(&ev))
}

func what(ev *Event) string {
	e := ev.Edge
	switch ev.Kind {
	case Changed:
		return fmt.Sprint(ev.Transition.To, " ", ev.Transition.Reason)
	case Suppressed:
		return fmt.Sprint("suppressed ", e.Hot.Withheld, " ", ev.Rule)
	case Stalled:
		return fmt.Sprint("stalled ", e.Stalled())
	case InstanceSick:
		return fmt.Sprint("sick ", e.Hot.Ejected, e.Hot.Degraded)
	case RetryStorm:
		return "storm " + map[storm.Kind]string{storm.Started: "started", storm.Metastable: "metastable", storm.Ended: "ended"}[ev.Storm.Kind]
	}
	return fmt.Sprint("backlog ", ev.Wait/second)
}

// of are the events that contain the text.
func (w *world) of(text string) (out []string) {
	for _, e := range w.events {
		if strings.Contains(e, text) {
			out = append(out, e)
		}
	}
	return out
}

// run has each done 20 times a second for so long.
func (w *world) run(long int64, each func(i int)) {
	from := w.now
	for i := 0; w.now < from+long; i++ {
		w.at(w.now + second/20)
		each(i)
	}
}

// client makes a caller's span that ends now.
func (w *world) client(peer call.Peer, outcome call.Outcome) call.Call {
	w.spans++
	return call.Call{TraceID: [16]byte{1}, SpanID: w.spans, ParentID: 1, Start: w.now - second/100, End: w.now,
		Role: call.RoleClient, Peer: peer, Outcome: outcome, Weight: 1}
}

// server makes the span of the one who answers c.
func (w *world) server(c call.Call) call.Call {
	w.spans++
	return call.Call{TraceID: c.TraceID, SpanID: w.spans, ParentID: c.SpanID, Start: c.Start, End: c.End,
		Role: call.RoleServer, Outcome: c.Outcome, Weight: 1}
}

// root makes the span of one who answers somebody outside.
func (w *world) root(outcome call.Outcome) call.Call {
	s := w.server(w.client(call.Peer{}, outcome))
	s.ParentID = 0
	return s
}

func (w *world) by(name string) *Service { return w.Service(service(name).Key(), service(name)) }

func (w *world) inst(name string) *Instance {
	return w.Instance(w.by("orders"), &call.Resource{Instance: name})
}

func (w *world) record(by string, c call.Call) (*Edge, Result) {
	e, _, r := w.Record(&c, w.by(by), nil, c.End)
	return e, r
}

// charge records a call and has it charged to its edge, as its trace would.
func (w *world) charge(by string, c call.Call) {
	e, fault, r := w.Record(&c, w.by(by), nil, c.End)
	if r == Counted {
		w.settle(e, c, fault, Charged)
	}
}

func (w *world) settle(e *Edge, c call.Call, from, to Fault) {
	if from != NoFault {
		w.Settle(e, Failed{Start: c.Start, End: c.End, Weight: WeightOf(c.Weight), Throttled: c.Outcome == call.Throttled}, from, to)
	}
}

// from records a call of one of the caller's instances.
func (w *world) from(by, instance string, c call.Call) *Edge {
	e, _, _ := w.Record(&c, w.by(by), w.inst(instance), c.End)
	return e
}

func (w *world) names() (out []string) {
	for _, e := range w.order {
		out = append(out, e.Name())
	}
	return out
}

func (w *world) total(e *Edge) circuit.Sums { return e.Sums(0, 1<<62) }

// bad is Fail for every n-th i.
func bad(i, n int) call.Outcome {
	if i%n == 0 {
		return call.Fail
	}
	return call.OK
}
