// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor"
)

// Change is a change of state. Times are since the scenario began.
type Change struct {
	// At is when somebody could know of it: for the observer the arrival of the batch that showed it.
	At time.Duration
	// Event is the event time that the observer gives it.
	Event time.Duration
	// Replica is whose breaker it is, Edge the observer's.
	Replica        int
	Edge           string
	Previous, Next string
}

// Observer is the breaker processor as its factory builds it, at its defaults, in a traces and a logs pipeline.
// What it emits comes before the simulated clock moves on, since that waits until all goroutines do.
type Observer struct {
	Changes []Change
	origin  time.Time
	traces  processor.Traces
	logs    processor.Logs
}

// NewObserver starts one, in a synctest bubble whose present is the scenario's beginning.
func NewObserver(ctx context.Context) (*Observer, error) {
	o := &Observer{origin: time.Now()}
	factory := breakerprocessor.NewFactory()
	cfg := factory.CreateDefaultConfig()
	set := processortest.NewNopSettings(factory.Type())
	events, err := consumer.NewLogs(o.take)
	if err != nil {
		return nil, err
	}
	if o.traces, err = factory.CreateTraces(ctx, set, cfg, consumertest.NewNop()); err != nil {
		return nil, err
	}
	if o.logs, err = factory.CreateLogs(ctx, set, cfg, events); err != nil {
		return nil, err
	}
	host := componenttest.NewNopHost()
	return o, errors.Join(o.traces.Start(ctx, host), o.logs.Start(ctx, host))
}

// Close delivers what is left.
func (o *Observer) Close(ctx context.Context) error {
	return errors.Join(o.traces.Shutdown(ctx), o.logs.Shutdown(ctx))
}

func (o *Observer) take(_ context.Context, ld plog.Logs) error {
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				if lr.EventName() != "breaker.state_changed" {
					continue
				}
				text := func(key string) string {
					v, _ := lr.Attributes().Get(key)
					return v.Str()
				}
				o.Changes = append(o.Changes, Change{
					At: time.Since(o.origin), Event: lr.Timestamp().AsTime().Sub(o.origin),
					Edge: text("breaker.name"), Previous: text("breaker.previous_state"), Next: text("breaker.state"),
				})
			}
		}
	}
	return nil
}

// export is one batch of one replica: what ended since its last.
type export struct {
	at    time.Duration
	from  *exporter
	spans []ended
}

// exporter is the SDK of a replica. It exports once a second, at a phase of its own.
type exporter struct {
	service string
	replica int
	phase   time.Duration
	spans   []ended
}

// ended is a span of a call.
type ended struct {
	end  time.Duration
	call *Call
	kind byte
}

// exporters hands each span of the calls to who exports it.
func (s *Scenario) exporters(calls []Call) []*exporter {
	var list []*exporter
	fleet := func(service string, n int) []*exporter {
		for replica := range n {
			list = append(list, &exporter{service: service, replica: replica})
		}
		return list[len(list)-n:]
	}
	callers, callees, others := fleet("orders", s.Replicas), fleet("payments", s.instances()), fleet("catalog", instances)
	for i, e := range list {
		e.phase = time.Duration(spread(s.Seed<<16|uint64(i)) % uint64(time.Second))
	}
	for i := range calls {
		c := &calls[i]
		by := callers[c.Replica]
		by.spans = append(by.spans, ended{c.End, c, clientSpan}, ended{c.End + around, c, entrySpan})
		if c.ServerEnd > 0 {
			to := callees
			if c.Bystander {
				to = others
			}
			to[c.Instance].spans = append(to[c.Instance].spans, ended{c.ServerEnd, c, serverSpan})
		}
	}
	return list
}

// exports are the batches in the order of their arrival.
func (s *Scenario) exports(calls []Call) []export {
	var out []export
	for _, e := range s.exporters(calls) {
		slices.SortStableFunc(e.spans, func(a, b ended) int { return cmp.Compare(a.end, b.end) })
		for at := e.phase; len(e.spans) > 0; at += time.Second {
			n := 0
			for n < len(e.spans) && e.spans[n].end <= at {
				n++
			}
			if n > 0 {
				out = append(out, export{at, e, e.spans[:n]})
				e.spans = e.spans[n:]
			}
		}
	}
	slices.SortStableFunc(out, func(a, b export) int { return cmp.Compare(a.at, b.at) })
	return out
}

// Observe has the observer see the calls by their spans. It must be called in a synctest bubble.
func (s *Scenario) Observe(ctx context.Context, calls []Call) ([]Change, error) {
	o, err := NewObserver(ctx)
	if err != nil {
		return nil, err
	}
	for _, x := range s.exports(calls) {
		time.Sleep(x.at - time.Since(o.origin))
		if err := o.traces.ConsumeTraces(ctx, s.batch(&x, o.origin)); err != nil {
			return nil, fmt.Errorf("batch of %s-%d at %v: %w", x.from.service, x.from.replica, x.at, err)
		}
	}
	time.Sleep(time.Second)
	return o.Changes, o.Close(ctx)
}

func (s *Scenario) batch(x *export, origin time.Time) ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	resource(rs.Resource().Attributes(), x.from.service, x.from.replica)
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	for _, e := range x.spans {
		span := spans.AppendEmpty()
		switch e.kind {
		case entrySpan:
			entry(span, origin, e.call)
		case clientSpan:
			s.client(span, origin, e.call)
		case serverSpan:
			server(span, origin, e.call)
		}
	}
	return td
}
