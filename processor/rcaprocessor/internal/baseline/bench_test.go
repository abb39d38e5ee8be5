// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"testing"
	"unsafe"
)

// BenchmarkObserve tells what a call costs at 200 a second, and how large a series is.
func BenchmarkObserve(b *testing.B) {
	var s Series
	at := epoch
	for i := 0; b.Loop(); i++ {
		at += 5 * ms
		s.Observe(at, int64(i%97)*ms, false, clean)
	}
	b.ReportMetric(float64(unsafe.Sizeof(s)), "bytes")
}

// BenchmarkDeviation tells what it costs to compare with an hour of normal.
func BenchmarkDeviation(b *testing.B) {
	var s Series
	for k := range int64(400) {
		fill(&s, k, k+1, 20, (9+k%3)*ms, clean)
	}
	c := s.Window(epoch+390*CellWidth, epoch+400*CellWidth)
	b.ReportAllocs()
	for b.Loop() {
		s.Deviation(c)
	}
}
