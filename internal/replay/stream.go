// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package replay // import "github.com/firebreak-otel/firebreak/internal/replay"

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// item is a span or a log record where it was recorded, and when it may arrive at the earliest.
type item[T any] struct {
	at    pcommon.Timestamp
	value T
}

// stream is one signal's items in the order of their arrival, and where to cut them into batches.
type stream[T any] struct {
	items []item[T]
	ends  []int // of the batches: index after the last item, ascending
	from  int   // first item not yet taken
}

// take removes the first batch.
func (s *stream[T]) take() []item[T] {
	batch := s.items[s.from:s.ends[0]]
	s.from, s.ends = s.ends[0], s.ends[1:]
	return batch
}

func (s *stream[T]) done() bool { return len(s.ends) == 0 }

// arrival of the first batch: it is complete with its latest item.
func (s *stream[T]) arrival() pcommon.Timestamp {
	var at pcommon.Timestamp
	for _, it := range s.items[s.from:s.ends[0]] {
		at = max(at, it.at)
	}
	return at
}

// cut sets the batches to n items each.
func (s *stream[T]) cut(n int) {
	s.ends = s.ends[:0]
	for end := n; end < len(s.items); end += n {
		s.ends = append(s.ends, end)
	}
	if len(s.items) > 0 {
		s.ends = append(s.ends, len(s.items))
	}
}

// shuffle delays every item by a random part of d and sorts by the arrival that results.
func (s *stream[T]) shuffle(d time.Duration, seed uint64) {
	r := rand.New(rand.NewPCG(seed, uint64(d)))
	for i := range s.items {
		s.items[i].at += pcommon.Timestamp(r.Int64N(int64(d)))
	}
	slices.SortStableFunc(s.items, func(a, b item[T]) int { return cmp.Compare(a.at, b.at) })
}

type spanRef struct {
	resource ptrace.ResourceSpans
	scope    ptrace.ScopeSpans
	span     ptrace.Span
}

type recordRef struct {
	resource plog.ResourceLogs
	scope    plog.ScopeLogs
	record   plog.LogRecord
}

func spans(requests []ptrace.Traces) *stream[spanRef] {
	s := &stream[spanRef]{}
	for _, td := range requests {
		before := len(s.items)
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, span := range ss.Spans().All() {
					s.items = append(s.items, item[spanRef]{span.EndTimestamp(), spanRef{rs, ss, span}})
				}
			}
		}
		if len(s.items) > before {
			s.ends = append(s.ends, len(s.items))
		}
	}
	return s
}

func records(requests []plog.Logs) *stream[recordRef] {
	s := &stream[recordRef]{}
	for _, ld := range requests {
		before := len(s.items)
		for _, rl := range ld.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, lr := range sl.LogRecords().All() {
					s.items = append(s.items, item[recordRef]{recordTime(lr), recordRef{rl, sl, lr}})
				}
			}
		}
		if len(s.items) > before {
			s.ends = append(s.ends, len(s.items))
		}
	}
	return s
}

// recordTime is when the record was made: bridges may set only the time of observation.
func recordTime(lr plog.LogRecord) pcommon.Timestamp {
	if lr.Timestamp() != 0 {
		return lr.Timestamp()
	}
	return lr.ObservedTimestamp()
}

// copySpans makes a request of the items; neighbours of one resource and scope share them again.
func copySpans(items []item[spanRef]) ptrace.Traces {
	td := ptrace.NewTraces()
	var prev spanRef
	var rs ptrace.ResourceSpans
	var ss ptrace.ScopeSpans
	for i, it := range items {
		ref := it.value
		if i == 0 || ref.resource != prev.resource {
			rs = td.ResourceSpans().AppendEmpty()
			ref.resource.Resource().CopyTo(rs.Resource())
			rs.SetSchemaUrl(ref.resource.SchemaUrl())
		}
		if i == 0 || ref.scope != prev.scope {
			ss = rs.ScopeSpans().AppendEmpty()
			ref.scope.Scope().CopyTo(ss.Scope())
			ss.SetSchemaUrl(ref.scope.SchemaUrl())
		}
		ref.span.CopyTo(ss.Spans().AppendEmpty())
		prev = ref
	}
	return td
}

// copyRecords is copySpans for logs.
func copyRecords(items []item[recordRef]) plog.Logs {
	ld := plog.NewLogs()
	var prev recordRef
	var rl plog.ResourceLogs
	var sl plog.ScopeLogs
	for i, it := range items {
		ref := it.value
		if i == 0 || ref.resource != prev.resource {
			rl = ld.ResourceLogs().AppendEmpty()
			ref.resource.Resource().CopyTo(rl.Resource())
			rl.SetSchemaUrl(ref.resource.SchemaUrl())
		}
		if i == 0 || ref.scope != prev.scope {
			sl = rl.ScopeLogs().AppendEmpty()
			ref.scope.Scope().CopyTo(sl.Scope())
			sl.SetSchemaUrl(ref.scope.SchemaUrl())
		}
		ref.record.CopyTo(sl.LogRecords().AppendEmpty())
		prev = ref
	}
	return ld
}
