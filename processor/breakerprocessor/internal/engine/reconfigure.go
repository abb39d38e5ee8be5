// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"github.com/firebreak-otel/firebreak/internal/watermark"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/decision"
)

// Begun says that the engine has taken a span.
func (e *Engine) Begun() bool { return e.begun }

// Head is how far event time has come, in unix nanoseconds.
func (e *Engine) Head() int64 { return e.clock.Head() }

// Reconfigure puts other settings into force, and has events told to another. What was learned stays, but for the breakers
// of edges whose settings differ; counts begin anew. False: the window or MaxSpans is another, and nothing was done.
func (e *Engine) Reconfigure(set Settings, tell func(decision.Event)) bool {
	if set.MaxSpans != e.set.MaxSpans || set.MaxTraceSpans != e.set.MaxTraceSpans || !e.table.Reconfigure(set.Settings) {
		return false
	}
	if set.Lateness != e.set.Lateness {
		head := e.clock.Head()
		e.clock = watermark.NewClock(set.Lateness)
		e.clock.Observe(head, 0)
	}
	s := e.stories
	s.soon.limit, s.rest.limit = set.MaxFailing, set.MaxFailing
	s.counts = Stories{Unfound: -int64(s.log.Cut())} // the log goes on counting
	e.table.AliasesFull, e.table.OperationsFull, e.table.Idle = 0, 0, 0
	e.set, e.tell, e.counts = set, tell, Counts{}
	return true
}
