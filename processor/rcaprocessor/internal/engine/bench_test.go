// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/binary"
	"testing"

	"github.com/firebreak-otel/firebreak/internal/call"
)

// lap is a stretch of traffic that can be played again and again, each time later and with other ids.
type lap struct {
	batches []*call.Batch
	spans   int
	length  int64
}

// another is an id of the next lap, the same for the same id; 0 stays none.
func another(id uint64) uint64 { return id * 0x9e3779b97f4a7c15 }

func newLap(seconds int64, perSecond float64, alter func(*order)) *lap {
	s := newShop(1)
	s.alter = alter
	s.run(dawn, dawn+seconds*second, perSecond)
	l := &lap{length: seconds * second}
	spans := s.sorted()
	for l.spans < len(spans) {
		n := min(512, len(spans)-l.spans)
		l.batches = append(l.batches, batchOf(spans[l.spans:l.spans+n]))
		l.spans += n
	}
	return l
}

func (l *lap) again() {
	for _, b := range l.batches {
		for i := range b.Calls {
			c := &b.Calls[i]
			c.Start, c.End = c.Start+l.length, c.End+l.length
			binary.BigEndian.PutUint64(c.TraceID[:], another(binary.BigEndian.Uint64(c.TraceID[:]))+1)
			c.SpanID, c.ParentID = another(c.SpanID), another(c.ParentID)
			for k := range c.Links {
				c.Links[k].SpanID = another(c.Links[k].SpanID)
			}
		}
	}
}

// BenchmarkLearn tells what a span costs in the steady state, and in an incident that stays open.
func BenchmarkLearn(b *testing.B) {
	for name, alter := range map[string]func(*order){"healthy": nil, "incident": slowDatabase} {
		b.Run(name, func(b *testing.B) {
			p := newProbe(testSettings())
			warm := newLap(120, 200, nil)
			var marks []Mark
			play := func(l *lap) {
				for _, batch := range l.batches {
					marks = p.Learn(batch, marks[:0])
				}
			}
			play(warm)
			l := newLap(10, 200, alter)
			for _, batch := range l.batches { // after the warm-up
				for i := range batch.Calls {
					batch.Calls[i].Start += warm.length
					batch.Calls[i].End += warm.length
				}
			}
			for range 3 {
				play(l)
				l.again()
			}
			if (len(p.Open()) > 0) != (alter != nil) {
				b.Fatal("the wrong state is measured")
			}
			b.ReportAllocs()
			b.ResetTimer()
			spans := 0
			for spans < b.N {
				play(l)
				spans += l.spans
				b.StopTimer()
				l.again()
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(spans), "ns/span")
			size, _ := p.Size()
			b.ReportMetric(float64(size.Bytes), "bytes-held")
		})
	}
}
