// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/decision"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/edge"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/engine"
)

// scene is a processor that the factory built, and the services whose spans it gets.
type scene struct {
	*harness
	t     *testing.T
	at    time.Duration // since epoch
	ids   uint64
	td    ptrace.Traces
	spans map[[2]string]ptrace.SpanSlice // by service and instance
}

func newScene(t *testing.T, change func(*Config)) *scene {
	s := &scene{harness: start(t, nil, change), t: t}
	s.begin()
	return s
}

func (s *scene) begin() { s.td, s.spans = ptrace.NewTraces(), map[[2]string]ptrace.SpanSlice{} }

// flush exports what there is.
func (s *scene) flush() {
	s.t.Helper()
	if s.td.SpanCount() > 0 {
		require.NoError(s.t, s.push(s.t.Context(), s.td))
		s.begin()
	}
}

// every does something at intervals for some time, and exports once a second.
func (s *scene) every(gap, during time.Duration, do func(i int)) {
	s.t.Helper()
	end := s.at + during
	for i := 0; s.at < end; i++ {
		before := s.at
		s.at += gap
		do(i)
		if s.at/time.Second != before/time.Second {
			s.flush()
		}
	}
	s.flush()
}

// span adds one of an instance of a service that took 2 ms and ends now, with a trace of its own.
func (s *scene) span(service, instance string, kind ptrace.SpanKind) ptrace.Span {
	by := [2]string{service, instance}
	spans, ok := s.spans[by]
	if !ok {
		rs := s.td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", service)
		rs.Resource().Attributes().PutStr("service.instance.id", instance)
		spans = rs.ScopeSpans().AppendEmpty().Spans()
		s.spans[by] = spans
	}
	span := spans.AppendEmpty()
	s.ids++
	var id [8]byte
	binary.BigEndian.PutUint64(id[:], s.ids)
	span.SetSpanID(id)
	span.SetTraceID([16]byte{0: 1, 8: id[0], 9: id[1], 10: id[2], 11: id[3], 12: id[4], 13: id[5], 14: id[6], 15: id[7]})
	span.SetKind(kind)
	span.SetName("work")
	s.time(span, 2*time.Millisecond, 0)
	return span
}

// time has the span start and end so long ago.
func (s *scene) time(span ptrace.Span, start, end time.Duration) {
	span.SetStartTimestamp(pcommon.NewTimestampFromTime(epoch.Add(s.at - start)))
	span.SetEndTimestamp(pcommon.NewTimestampFromTime(epoch.Add(s.at - end)))
}

// call adds a call by name, which is the edge caller->callee.
func (s *scene) call(caller, instance, callee string, bad bool) ptrace.Span {
	span := s.span(caller, instance, ptrace.SpanKindClient)
	span.Attributes().PutStr("server.address", callee)
	if bad {
		fail(span, "503")
	}
	return span
}

// idle is a healthy call elsewhere: time goes by, and not everything fails.
func (s *scene) idle() { s.call("elsewhere", "e1", "fine", false) }

// fail ends the span with a status of HTTP, or an error of another type.
func fail(span ptrace.Span, what string) {
	span.Status().SetCode(ptrace.StatusCodeError)
	span.Attributes().PutStr("error.type", what)
	if len(what) == 3 && what[0] >= '1' && what[0] <= '5' {
		span.Attributes().PutInt("http.response.status_code", int64(what[0]-'0')*100+int64(what[1]-'0')*10+int64(what[2]-'0'))
	}
}

func below(child, parent ptrace.Span) {
	child.SetTraceID(parent.TraceID())
	child.SetParentSpanID(parent.SpanID())
}

// nth says for the i-th of many calls whether it is of the share, spread evenly.
func nth(i int, share float64) bool {
	const slack = 1e-9 // for shares that have no exact binary form
	return int(float64(i+1)*share+slack) > int(float64(i)*share+slack)
}

// core gives access to what the engine knows.
func (s *scene) core(look func(*engine.Engine)) {
	s.engine.mu.Lock()
	defer s.engine.mu.Unlock()
	look(s.engine.core)
}

// advice is what is advised for an edge that is not closed.
func (s *scene) advice(name string) (out decision.Advice, ok bool) {
	s.core(func(e *engine.Engine) {
		list, _ := e.Advice(1000)
		for _, a := range list {
			if a.Edge.Name == name {
				out, ok = a, true
			}
		}
	})
	return out, ok
}

func (s *scene) state(name string) string {
	if a, ok := s.advice(name); ok {
		return a.State
	}
	return "closed"
}

func (s *scene) result(r edge.Result) (n int) {
	s.core(func(e *engine.Engine) { n = int(e.Counts().Results[r]) })
	return n
}

// edges is how many there are.
func (s *scene) edges() (n int) {
	s.core(func(e *engine.Engine) {
		for _, k := range e.States() {
			n += int(k)
		}
	})
	return n
}

func (s *scene) open() bool {
	n := int64(0)
	s.core(func(e *engine.Engine) { n = e.States()[circuit.Open] + e.States()[circuit.HalfOpen] })
	return n > 0
}

// outage has calls of an edge fail until its breaker is open.
func (s *scene) outage(name string, gap time.Duration, do func()) (decision.Advice, bool) {
	for range 1200 {
		s.at += gap
		do()
		s.flush()
		if a, ok := s.advice(name); ok {
			return a, a.State == "open"
		}
	}
	return decision.Advice{}, false
}

// told ends the scene, and returns the event records of that name on an edge; "" is any.
func (s *scene) told(event, name string) (out []change) {
	s.stop()
	all, _ := changes(s.pipelines.logs)
	for _, c := range all {
		if (event == "" || c.event == event) && (name == "" || c.name == name) {
			out = append(out, c)
		}
	}
	return out
}
