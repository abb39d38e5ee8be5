// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
)

// place is where a pointer or a slice leads to.
type place struct {
	at   uintptr
	kind reflect.Kind
}

// deepSize adds up all memory that is reached from v beyond v itself; of a map about what Go takes for it.
func deepSize(v reflect.Value, seen map[place]bool) (bytes int64) {
	switch v.Kind() {
	case reflect.Interface:
		return deepSize(v.Elem(), seen)
	case reflect.Pointer:
		if at := (place{v.Pointer(), reflect.Pointer}); v.IsNil() || seen[at] {
			return 0
		} else {
			seen[at] = true
		}
		return int64(v.Type().Elem().Size()) + deepSize(v.Elem(), seen)
	case reflect.Struct:
		for i := range v.NumField() {
			bytes += deepSize(v.Field(i), seen)
		}
	case reflect.Array:
		if !holds(v.Type().Elem()) {
			return 0
		}
		for i := range v.Len() {
			bytes += deepSize(v.Index(i), seen)
		}
	case reflect.Slice:
		if at := (place{v.Pointer(), reflect.Slice}); v.Cap() == 0 || seen[at] {
			return 0
		} else {
			seen[at] = true
		}
		bytes = int64(v.Cap()) * int64(v.Type().Elem().Size())
		if !holds(v.Type().Elem()) {
			return bytes
		}
		for i := range v.Len() {
			bytes += deepSize(v.Index(i), seen)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			bytes += int64(v.Type().Key().Size()+v.Type().Elem().Size())*3/2 + deepSize(it.Key(), seen) + deepSize(it.Value(), seen)
		}
	case reflect.String:
		return int64(v.Len())
	}
	return bytes
}

// holds says that values of a type may lead to more memory.
func holds(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			if holds(t.Field(i).Type) {
				return true
			}
		}
		return false
	case reflect.Array:
		return holds(t.Elem())
	case reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Map, reflect.String:
		return true
	}
	return false
}

// Whatever grows, Size tells of it.
func TestSizeCountsAllThatGrows(t *testing.T) {
	some := func(alter func(i int, c *call.Call, r *call.Resource)) func(*probe) {
		return func(p *probe) {
			for i := range 20_000 {
				s := span{gateway, call.Call{
					TraceID: [16]byte{byte(i), byte(i >> 8), 1}, SpanID: uint64(i + 1), Start: dawn + int64(i)*10*ms, End: dawn + int64(i)*10*ms + ms,
					Role: call.RoleServer, Operation: call.Operation{Target: "GET /"}, Weight: 1,
				}}
				alter(i, &s.Call, &s.from)
				p.feed(1, []span{s})
			}
		}
	}
	for name, grow := range map[string]func(*probe){
		"spans":      some(func(_ int, c *call.Call, _ *call.Resource) { c.Start, c.End = dawn, dawn+ms }),
		"traces":     some(func(int, *call.Call, *call.Resource) {}),
		"operations": some(func(i int, c *call.Call, _ *call.Resource) { c.Operation.Target = fmt.Sprint("GET /", i) }),
		"instances":  some(func(i int, _ *call.Call, r *call.Resource) { r.Instance = fmt.Sprint("gateway-", i) }),
		"services":   some(func(i int, _ *call.Call, r *call.Resource) { r.Service = fmt.Sprint("service-", i) }),
		"callees": some(func(i int, c *call.Call, _ *call.Resource) {
			c.Role, c.Peer = call.RoleClient, call.Peer{Kind: call.NodeService, Name: fmt.Sprint("service-", i)}
		}),
		"attempts": some(func(i int, c *call.Call, _ *call.Resource) {
			c.Role, c.Peer, c.Attempt = call.RoleClient, call.Peer{Kind: call.NodeService, Name: fmt.Sprint("service-", i)}, 1
		}),
		"publishes": some(func(i int, c *call.Call, _ *call.Resource) {
			c.Role, c.Peer, c.Partition = call.RoleProducer, topic, fmt.Sprint(i)
		}),
		"receipts": some(func(i int, c *call.Call, _ *call.Resource) {
			c.Role, c.Peer, c.Partition = call.RoleConsumer, topic, fmt.Sprint(i)
			c.Operation.Target = fmt.Sprint("process ", i)
		}),
		"failures": some(func(i int, c *call.Call, _ *call.Resource) {
			if c.Operation.Target = fmt.Sprint("GET /", i%50); i > 10_000 {
				c.Outcome, c.Reason = call.Fail, call.ReasonError
			}
		}),
		"children": some(func(i int, c *call.Call, _ *call.Resource) {
			if i%2 == 1 {
				c.TraceID[0]--
				c.ParentID, c.HasParent, c.Role, c.Operation.Target = c.SpanID-1, true, call.RoleInternal, fmt.Sprint("step ", i%999)
				c.Start, c.End = c.Start-10*ms, c.End-10*ms
			}
		}),
		"lines": func(p *probe) {
			for i := range 20_000 {
				p.LearnLog(&LogLine{Trace: trace.ID{byte(i), byte(i >> 8)}, Span: 1, Template: 1})
			}
		},
		"templates": func(p *probe) {
			some(func(i int, _ *call.Call, r *call.Resource) { r.Service = fmt.Sprint("service-", i%100) })(p)
			for i := range 100_000 {
				r := service(fmt.Sprint("service-", i%100), gateway.Instance, gateway.Version)
				l := written(&r, p.Head()-int64(i%7)*10*second, uint64(1+i/100), i%3 == 0)
				p.LearnLog(&l)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			set := testSettings()
			set.Spans, set.HurtTraces, set.Messages = 1<<17, 1<<14, 1<<16
			set.Graph.Nodes, set.Graph.Ops, set.Graph.Instances, set.Graph.Edges = 3000, 3000, 3000, 3000
			set.Graph.AllOps, set.Graph.AllInstances = 6000, 6000
			p := newProbe(set)
			grow(p)
			for part, x := range map[string]struct {
				told int64
				held any
			}{
				"traces":   {p.table.Bytes(), p.table},
				"graph":    {p.graph.Bytes(), p.graph},
				"ledger":   {p.ledger.Bytes(), p.ledger},
				"hurt":     {p.hurt.bytes(), &p.hurt},
				"sent":     {p.sent.Bytes(), p.sent},
				"receipts": {p.receipts.Bytes(), p.receipts},
				"study":    {p.study.bytes(), &p.study},
				"beside":   {p.sideBytes + int64(cap(p.ops))*opBytes + int64(cap(p.nodes))*nodeBytes, &[]any{&p.ops, &p.nodes}},
			} {
				held := float64(deepSize(reflect.ValueOf(x.held), map[place]bool{}))
				assert.GreaterOrEqual(t, float64(x.told), .8*held-4096, part)
				assert.LessOrEqual(t, float64(x.told), 1.4*held+4096, part)
			}
			size, _ := p.Size()
			held := float64(deepSize(reflect.ValueOf(p.Engine), map[place]bool{}))
			assert.InDelta(t, held, size.Bytes, .1*held+8192)
		})
	}
}
