// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"testing"
	"time"
)

// BenchmarkSpan is the cost of one span, from the user's request to the batch that carries it.
func BenchmarkSpan(b *testing.B) {
	sc, err := Load(scenarios + "01-slow-database.yaml")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	s, err := New(sc, Axes{Rate: 500, Logs: true, Warmup: time.Hour}, 1)
	if err != nil {
		b.Fatal(err)
	}
	for range s.Batches() {
		if s.counts.Spans >= int64(b.N) {
			break
		}
	}
}
