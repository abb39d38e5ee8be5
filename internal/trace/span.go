// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package trace keeps skeletons of spans until their trace has come to rest, and says what each call
// means in its trace: own time, the gap between caller and callee, what belongs to whom.
package trace

import "github.com/firebreak-otel/firebreak/internal/call"

// ID is a trace id.
type ID [16]byte

// Span is the skeleton of a span: what is kept of it for analysis. 56 bytes.
type Span struct {
	ID, Parent uint64 // Parent is 0 for a root
	Start, End int64  // event time, unix nanoseconds
	// Handles of the engine that filled the table; the table and the walk do not look into them.
	Op, Instance uint32
	Weight       uint32 // adjusted count in 1/16
	Role         call.Role
	Outcome      call.Outcome
	Reason       call.Reason
	Attempt      uint8

	next int32
}

// Duration is End-Start in nanoseconds.
func (s *Span) Duration() int64 { return s.End - s.Start }
