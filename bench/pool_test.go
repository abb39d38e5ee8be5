// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

const testTraces = 1000

// wire is the pool as bytes.
func wire(t *testing.T, p *pool) (all []byte) {
	t.Helper()
	for _, td := range p.batches {
		b, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
		require.NoError(t, err)
		all = append(all, b...)
	}
	return all
}

func TestPoolIsTheSameEachTime(t *testing.T) {
	assert.True(t, bytes.Equal(wire(t, newPool(testTraces)), wire(t, newPool(testTraces))))
}

func TestPoolBatches(t *testing.T) {
	p := newPool(testTraces)
	spans := 0
	for i, td := range p.batches {
		n := td.SpanCount()
		spans += n
		if i < len(p.batches)-1 {
			assert.Equal(t, batchSpans, n, "batch %d", i)
		}
		seen := map[string]bool{}
		for _, rs := range td.ResourceSpans().All() {
			id, _ := rs.Resource().Attributes().Get("service.instance.id")
			assert.False(t, seen[id.Str()], "batch %d has %s twice", i, id.Str())
			seen[id.Str()] = true
		}
	}
	assert.Equal(t, p.spans, spans)
	assert.InDelta(t, 11, float64(p.spans)/testTraces, 1)
}

func TestPoolTraces(t *testing.T) {
	type key struct {
		trace pcommon.TraceID
		span  pcommon.SpanID
	}
	p := newPool(testTraces)
	spans, all, failed := map[key]ptrace.Span{}, map[pcommon.TraceID]bool{}, map[pcommon.TraceID]bool{}
	for span := range p.all {
		spans[key{span.TraceID(), span.SpanID()}] = span
		all[span.TraceID()] = true
		if span.Status().Code() == ptrace.StatusCodeError {
			failed[span.TraceID()] = true
		}
	}
	assert.Len(t, spans, p.spans, "span ids are unique")
	assert.Len(t, all, testTraces)
	assert.InDelta(t, failPercent, 100*float64(len(failed))/testTraces, 2.5)

	roots, consumers := 0, 0
	for k, span := range spans {
		assert.Less(t, span.StartTimestamp(), span.EndTimestamp())
		if span.ParentSpanID().IsEmpty() {
			roots++
			assert.Equal(t, failed[k.trace], span.Status().Code() == ptrace.StatusCodeError, "a failure reaches the root")
			continue
		}
		parent, ok := spans[key{k.trace, span.ParentSpanID()}]
		require.True(t, ok, "%s has a parent in its trace", span.Name())
		assert.LessOrEqual(t, parent.StartTimestamp(), span.StartTimestamp())
		switch span.Kind() {
		case consumer:
			consumers++
			assert.Equal(t, producer, parent.Kind())
			assert.False(t, failed[k.trace], "an order that is not stored is not told")
		case server:
			assert.Equal(t, client, parent.Kind())
		default:
			assert.NotEqual(t, client, parent.Kind())
		}
	}
	assert.Equal(t, testTraces, roots)
	assert.Equal(t, testTraces-len(failed), consumers)
}

func TestPoolMoves(t *testing.T) {
	p, moved := newPool(testTraces), newPool(testTraces)
	first := wire(t, p)

	moved.move(7, 3)
	was := map[pcommon.TraceID]bool{}
	var before []ptrace.Span
	for span := range p.all {
		was[span.TraceID()] = true
		before = append(before, span)
	}
	i := 0
	for span := range moved.all {
		assert.Equal(t, 7*time.Second, span.StartTimestamp().AsTime().Sub(before[i].StartTimestamp().AsTime()))
		assert.Equal(t, 7*time.Second, span.EndTimestamp().AsTime().Sub(before[i].EndTimestamp().AsTime()))
		assert.False(t, was[span.TraceID()], "another edition is of other traces")
		span.Attributes().PutStr("rca.role", "symptom")
		span.Attributes().PutStr("breaker.state", "open")
		i++
	}
	moved.move(0, 0)
	assert.True(t, bytes.Equal(first, wire(t, moved)), "moved back, it is what it was, without what was added")
}
