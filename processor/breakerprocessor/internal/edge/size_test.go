// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/firebreak-otel/firebreak/internal/call"
)

// heap is how much the table takes.
func heap(w *world, fill func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	fill()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(w)
	return after.HeapAlloc - before.HeapAlloc
}

// each has all of 100 services call all others so often, i saying how often before.
func (w *world) each(names []string, rounds int, outcome func(i int) call.Outcome) {
	for i := range rounds {
		w.at(w.now + second)
		for _, by := range names {
			s := w.by(by)
			for _, callee := range names {
				c := w.client(named(callee), outcome(i))
				w.Record(&c, s, nil, c.End)
			}
		}
	}
}

func TestBytesAnEdge(t *testing.T) {
	const n = 100
	for _, tt := range []struct {
		name    string
		outcome func(i int) call.Outcome
		most    float64
	}{
		{"healthy", func(int) call.Outcome { return call.OK }, 600},
		{"failing", func(i int) call.Outcome { return bad(i, 3) }, 3000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var names []string
			for i := range n {
				names = append(names, fmt.Sprint("service-", i))
			}
			s := testSettings()
			s.MaxEdges = n * n
			w := warm(s)
			for _, by := range names {
				w.record(by, w.root(call.OK))
			}
			w.at(w.now + s.Idle + 60*second)
			taken := heap(w, func() { w.each(names, 6, tt.outcome) })
			each := float64(taken) / n / n
			t.Logf("%.0f bytes an edge at %d edges", each, w.Len())
			assert.GreaterOrEqual(t, w.Len(), n*n)
			assert.Less(t, each, tt.most)
			assert.InEpsilon(t, each, float64(w.Bytes()-fixedBytes)/n/n, 0.35, "what is said of it is about true")
		})
	}
}
