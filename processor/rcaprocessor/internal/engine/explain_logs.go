// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import "github.com/firebreak-otel/firebreak/internal/trace"

// joinLogs is how many log lines wait for their traces at most.
const joinLogs = 1 << 17

// logLine is what is kept of a log record until its span's trace is at rest.
type logLine struct {
	span, template uint64
	grave          bool
}

// logJoiner keeps log lines by trace, in two generations: the older half is forgotten at once.
type logJoiner struct {
	young, old map[trace.ID][]logLine
	held       int // in young
	limit      int
	dropped    int64
}

func newLogJoiner(limit int) logJoiner {
	return logJoiner{young: map[trace.ID][]logLine{}, old: map[trace.ID][]logLine{}, limit: max(limit/2, 1)}
}

func (j *logJoiner) add(id trace.ID, l logLine) {
	if j.held >= j.limit {
		for _, lines := range j.old {
			j.dropped += int64(len(lines))
		}
		j.old, j.young, j.held = j.young, j.old, 0
		clear(j.young)
	}
	j.young[id] = append(j.young[id], l)
	j.held++
}

// take returns the lines of a trace, and forgets them.
func (j *logJoiner) take(id trace.ID) []logLine {
	lines := append(j.old[id], j.young[id]...)
	j.held -= len(j.young[id])
	delete(j.old, id)
	delete(j.young, id)
	return lines
}
