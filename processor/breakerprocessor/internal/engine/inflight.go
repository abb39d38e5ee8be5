// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/edge"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/inflight"
)

const (
	// maxPeaks bounds the openings of one step for which the log is read: thousands of edges may open at once.
	maxPeaks = 16
	// olderRun spans in a row that ended before the window end the search: what arrived before them is older still.
	olderRun = 1024
)

// mostInFlight is how many of the edge's calls that ended in [from, to) were in flight at a time at most, as far as their
// spans are still held; 0: not looked for.
func (s *stories) mostInFlight(on *edge.Edge, from, to int64) int {
	if s.peaks == 0 {
		return 0
	}
	s.peaks--
	s.intervals = s.intervals[:0]
	older := 0
	s.log.Newest(func(span *trace.Span) bool {
		if span.End < from {
			older++
			return older < olderRun
		}
		older = 0
		if span.End < to && span.Op != 0 && s.table.Edge(span.Op) == on {
			s.intervals = append(s.intervals, inflight.Interval{Start: span.Start(), End: span.End})
		}
		return true
	})
	return inflight.Max(s.intervals)
}
