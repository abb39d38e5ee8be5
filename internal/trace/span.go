// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package trace keeps skeletons of spans until their trace has come to rest, and says what each call
// means in its trace: own time, the gap between caller and callee, what belongs to whom.
package trace

import (
	"math/bits"

	"github.com/firebreak-otel/firebreak/internal/call"
)

// ID is a trace id.
type ID [16]byte

// Facts are what a Span is made of.
type Facts struct {
	ID, Parent uint64 // Parent is 0 for a root
	Start, End int64  // event time, unix nanoseconds; an End before Start counts as Start at End
	// Handles of the engine that filled the table; the table and the walk do not look into them.
	Op, Instance uint32
	Weight       uint32 // adjusted count in 1/16
	Role         call.Role
	Outcome      call.Outcome
	Reason       call.Reason
	Detail       call.Detail
	Attempt      uint8
}

// Span is the skeleton of a span: what is kept of it for analysis. 40 bytes.
type Span struct {
	ID           uint64
	End          int64 // event time, unix nanoseconds
	Op, Instance uint32
	parent       uint32 // fold of the parent's id; 0 for a root
	duration     uint32
	next         int32
	weight       uint16
	// role 3 bits, outcome 2, reason 4, attempt 4, detail 3, from the lowest
	meaning uint16
}

// NewSpan packs facts. Of the parent's id 32 bits are kept, of Attempt up to 15, of Weight what RoundWeight
// leaves, and of a duration of 2.1 s or more multiples of 4,096 ns, up to 2.4 hours: such a span begins up to
// 4,095 ns earlier.
func NewSpan(f Facts) Span {
	s := Span{
		ID: f.ID, End: f.End, Op: f.Op, Instance: f.Instance, duration: packDuration(f.End - f.Start), weight: packWeight(f.Weight),
		meaning: uint16(f.Role)&7 | uint16(f.Outcome)&3<<3 | uint16(f.Reason)&15<<5 | uint16(min(f.Attempt, 15))<<9 | uint16(f.Detail)&7<<13,
	}
	if f.Parent != 0 {
		s.parent = fold(f.Parent)
	}
	return s
}

// Parent stands for the parent's id: spans with the same parent have the same, a root has 0, and two parents of a trace
// hardly ever have the same.
func (s *Span) Parent() uint32 { return s.parent }

// Start is when the span began, in unix nanoseconds of event time.
func (s *Span) Start() int64 { return s.End - s.Duration() }

// Duration is End less Start in nanoseconds.
func (s *Span) Duration() int64 {
	if s.duration&coarse == 0 {
		return int64(s.duration)
	}
	return int64(s.duration&^coarse) << coarseBits
}

// Weight is the adjusted count in 1/16.
func (s *Span) Weight() uint32 { return unpackWeight(s.weight) }

// Role is that of the call; so are Outcome, Reason, Detail and Attempt.
func (s *Span) Role() call.Role       { return call.Role(s.meaning & 7) }
func (s *Span) Outcome() call.Outcome { return call.Outcome(s.meaning >> 3 & 3) }
func (s *Span) Reason() call.Reason   { return call.Reason(s.meaning >> 5 & 15) }
func (s *Span) Detail() call.Detail   { return call.Detail(s.meaning >> 13) }
func (s *Span) Attempt() uint8        { return uint8(s.meaning >> 9 & 15) }

// fold is 32 bits of a hash of a span's id, never 0.
func fold(id uint64) uint32 {
	return max(uint32(id*0x9e3779b97f4a7c15>>32), 1)
}

const (
	coarse     = uint32(1) << 31 // the duration is in units of 1<<coarseBits ns
	coarseBits = 12
)

func packDuration(ns int64) uint32 {
	switch {
	case ns <= 0:
		return 0
	case ns < int64(coarse):
		return uint32(ns)
	}
	const unit = 1 << coarseBits
	n := ns / unit
	if ns%unit > 0 {
		n++
	}
	return coarse | uint32(min(n, int64(coarse-1)))
}

// A weight is a float of 5 bits of exponent and 11 of mantissa, with a leading 1 that is not kept unless the exponent
// is 0: exact below 4,096 and for powers of two.
const (
	mantissaBits = 11
	mantissaMask = 1<<mantissaBits - 1
	maxExponent  = 32 - mantissaBits // the largest weight is just below 1<<32
)

func packWeight(w uint32) uint16 {
	shift := bits.Len32(w) - mantissaBits - 1
	if shift < 0 {
		return uint16(w)
	}
	// A mantissa that is rounded up to the next power of two carries into the exponent.
	f := uint64(shift)<<mantissaBits + (uint64(w)+1<<shift>>1)>>shift
	return uint16(min(f, maxExponent<<mantissaBits|mantissaMask))
}

func unpackWeight(f uint16) uint32 {
	e, m := f>>mantissaBits, uint32(f&mantissaMask)
	if e == 0 {
		return m
	}
	return (m | 1<<mantissaBits) << (e - 1)
}

// RoundWeight is the weight that a Span made of w has: off by at most one in 4,096.
func RoundWeight(w uint32) uint32 { return unpackWeight(packWeight(w)) }
