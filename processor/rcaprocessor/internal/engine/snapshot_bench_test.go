// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// wide is an engine that has seen seven minutes of so many operations: one in two is asked of a service, the other
// asks a database. Every window is full.
func wide(b *testing.B, operations int) *Engine {
	set := testSettings()
	set.Graph.Nodes, set.Graph.AllOps, set.Graph.Edges = operations+1, operations, operations
	e := New(set, func(incident.Incident) {})
	batch := &call.Batch{}
	for i := range operations / 2 {
		batch.Resources = append(batch.Resources, service(fmt.Sprintf("service-%d", i), "0", "v1"))
		batch.Calls = append(batch.Calls,
			call.Call{Resource: int32(i), SpanID: 1, Role: call.RoleServer, Operation: call.Operation{Target: "/work"}, Weight: 1},
			call.Call{Resource: int32(i), SpanID: 2, ParentID: 1, HasParent: true, Role: call.RoleClient,
				Operation: call.Operation{Target: "SELECT"}, Peer: database, Weight: 1})
	}
	for s := range int64(420) {
		for i := range batch.Calls {
			c := &batch.Calls[i]
			binary.BigEndian.PutUint64(c.TraceID[:], uint64(s*1e6+int64(i/2)+1))
			c.End = dawn + s*second + 900*ms
			c.Start = c.End - (10+s%17+int64(i%7))*ms<<(s%5)
		}
		e.Learn(batch, nil)
	}
	if size, _ := e.Size(); size.Ops != operations {
		b.Fatalf("%d operations", size.Ops)
	}
	return e
}

// BenchmarkSnapshot tells how long a save keeps the engine from its spans.
func BenchmarkSnapshot(b *testing.B) {
	for _, operations := range []int{1000, 20_000} {
		b.Run(fmt.Sprintf("%d operations", operations), func(b *testing.B) {
			e := wide(b, operations)
			size := 0
			b.ResetTimer()
			for b.Loop() {
				payload, lost, err := e.Snapshot(1<<30, size+size/8)
				if err != nil || lost > 0 {
					b.Fatal(lost, err)
				}
				size = len(payload)
			}
			b.ReportMetric(float64(size), "bytes")
		})
	}
}

// BenchmarkRestore tells what it takes to take a state up.
func BenchmarkRestore(b *testing.B) {
	e := wide(b, 1000)
	payload, _, err := e.Snapshot(1<<30, 0)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Restore(e.set, payload, nil); err != nil {
			b.Fatal(err)
		}
	}
}
