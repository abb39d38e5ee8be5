// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"

// event is something that happens at a time; those of one time happen in the order they were planned.
type event struct {
	at  int64
	seq uint64
	do  func()
}

func (e *event) before(o *event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

// agenda is a heap of events with four children a node: shallower than two, so fewer cache misses.
type agenda struct {
	heap []event
	seq  uint64
}

const fanout = 4

func (a *agenda) push(at int64, do func()) {
	a.seq++
	e := event{at, a.seq, do}
	a.heap = append(a.heap, e)
	i := len(a.heap) - 1
	for i > 0 {
		p := (i - 1) / fanout
		if !e.before(&a.heap[p]) {
			break
		}
		a.heap[i] = a.heap[p]
		i = p
	}
	a.heap[i] = e
}

func (a *agenda) pop() event {
	top := a.heap[0]
	n := len(a.heap) - 1
	last := a.heap[n]
	a.heap[n] = event{}
	a.heap = a.heap[:n]
	if n == 0 {
		return top
	}
	i := 0
	for {
		first := i*fanout + 1
		if first >= n {
			break
		}
		least := first
		for c := first + 1; c < min(first+fanout, n); c++ {
			if a.heap[c].before(&a.heap[least]) {
				least = c
			}
		}
		if !a.heap[least].before(&last) {
			break
		}
		a.heap[i] = a.heap[least]
		i = least
	}
	a.heap[i] = last
	return top
}
