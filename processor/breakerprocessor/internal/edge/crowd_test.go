// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"fmt"
	"testing"

	"github.com/firebreak-otel/firebreak/internal/call"
)

// BenchmarkStepOfManyFailing is one decision of 10,000 edges that all fail, half of them held back by max_open_share.
func BenchmarkStepOfManyFailing(b *testing.B) {
	s := testSettings()
	s.MaxEdges, s.MaxOpenShare = 10_000, 0.5
	w := warm(s)
	for range 4 {
		for i := range 10_000 {
			for range 6 {
				w.record(fmt.Sprint("s", i%100), w.client(named(fmt.Sprint("s", i/100, "-", i)), call.Fail))
			}
		}
		w.at(w.now + second)
	}
	b.Logf("%d open of %d", w.open, len(w.order))
	for b.Loop() {
		w.Step(w.next, w.tell)
		w.next++
	}
}
