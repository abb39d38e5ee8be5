// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import "github.com/firebreak-otel/firebreak/internal/trace"

// waiting is a trace that is to be looked at.
type waiting struct {
	id  trace.ID
	due int64
}

// queue holds traces in the order in which their time comes, as far as it does: what settles faster later on waits for
// what came before.
type queue struct {
	limit int
	items []waiting
	first int
}

// push returns false when there is no room.
func (q *queue) push(w waiting) bool {
	if len(q.items)-q.first >= q.limit {
		return false
	}
	if q.first > 64 && q.first > len(q.items)/2 {
		q.items = q.items[:copy(q.items, q.items[q.first:])]
		q.first = 0
	}
	q.items = append(q.items, w)
	return true
}

// pop takes the first whose time has come.
func (q *queue) pop(now int64) (waiting, bool) {
	if q.first == len(q.items) || q.items[q.first].due > now {
		return waiting{}, false
	}
	q.first++
	return q.items[q.first-1], true
}

func (q *queue) clear() { q.items, q.first = q.items[:0], 0 }
