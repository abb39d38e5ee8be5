// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package snapshot is the form in which an engine's state outlives a restart: a compact binary payload that one
// Codec both writes and reads, and a Header that says what the payload is and whether it is whole.
package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

var (
	// ErrCorrupt: the bytes are no whole state.
	ErrCorrupt = errors.New("the state is damaged, or was not written by this processor")
	// ErrVersion: the state has a form that this build does not read.
	ErrVersion = errors.New("the state was written by another version")
	// ErrSettings: the state does not fit the configuration.
	ErrSettings = errors.New("the state was written under other settings")
)

// MaxTime is the latest time that is accepted, in unix nanoseconds: sums of two stay within int64.
const MaxTime = int64(1) << 62

// Codec writes values one after the other, or reads them in the same order: a type that is persisted names each
// of its fields once, for both directions. After an error it reads zeros. Integers are varints, keys and floats
// eight bytes little-endian, strings and lists go with their length in front.
type Codec struct {
	buf     []byte // written so far, or left to read
	reading bool
	err     error
}

// NewWriter makes a Codec that writes, with room for so many bytes at first.
func NewWriter(room int) *Codec { return &Codec{buf: make([]byte, 0, room)} }

// NewReader makes a Codec that reads b. What it hands out shares nothing with b.
func NewReader(b []byte) *Codec { return &Codec{buf: b, reading: true} }

// Reading says which of the two it is.
func (c *Codec) Reading() bool { return c.reading }

// Err returns the first error: it wraps ErrCorrupt or ErrSettings.
func (c *Codec) Err() error { return c.err }

// Bytes returns what was written, or what is left to read.
func (c *Codec) Bytes() []byte { return c.buf }

// Len returns the number of bytes written, or left to read.
func (c *Codec) Len() int { return len(c.buf) }

// Truncate takes back what was written beyond n bytes.
func (c *Codec) Truncate(n int) { c.buf = c.buf[:n] }

// Fail notes that what was read cannot be; the first reason stands.
func (c *Codec) Fail(what string) { c.fail(ErrCorrupt, what) }

func (c *Codec) fail(kind error, what string) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: %s", kind, what)
	}
	if c.reading {
		c.buf = nil
	}
}

// Int passes an integer of any sign.
func (c *Codec) Int(p *int64) {
	if !c.reading {
		c.buf = binary.AppendVarint(c.buf, *p)
		return
	}
	v, n := binary.Varint(c.buf)
	*p = v
	c.took(n, "integer")
}

// took moves on by n bytes; n <= 0 says that there was no value.
func (c *Codec) took(n int, what string) bool {
	if n <= 0 || n > len(c.buf) {
		c.Fail("it ends within a value (" + what + ")")
		return false
	}
	c.buf = c.buf[n:]
	return true
}

// Uint passes an unsigned integer that must be at most limit.
func Uint[T ~uint8 | ~uint16 | ~uint32 | ~uint64](c *Codec, p *T, limit T) {
	if !c.reading {
		c.buf = binary.AppendUvarint(c.buf, uint64(*p))
		return
	}
	v, n := binary.Uvarint(c.buf)
	if *p = 0; !c.took(n, "count") {
		return
	}
	if v > uint64(limit) {
		c.Fail(fmt.Sprintf("%d where at most %d can be", v, limit))
		return
	}
	*p = T(v)
}

// Time passes a time, or a count that is never negative: 0 to MaxTime. One that lies beyond is written as the nearest.
func (c *Codec) Time(p *int64) {
	if !c.reading {
		c.buf = binary.AppendVarint(c.buf, min(max(*p, 0), MaxTime))
		return
	}
	c.Int(p)
	if *p < 0 || *p > MaxTime {
		c.Fail(fmt.Sprintf("time %d is out of range", *p))
		*p = 0
	}
}

// Key passes a hash: eight bytes.
func (c *Codec) Key(p *uint64) {
	if !c.reading {
		c.buf = binary.LittleEndian.AppendUint64(c.buf, *p)
		return
	}
	*p = 0
	if b := c.buf; c.took(min(8, len(b)/8*8), "key") {
		*p = binary.LittleEndian.Uint64(b)
	}
}

// Float passes a finite number.
func (c *Codec) Float(p *float64) {
	bits := math.Float64bits(*p)
	c.Key(&bits)
	*p = math.Float64frombits(bits)
	if math.IsNaN(*p) || math.IsInf(*p, 0) {
		c.Fail("a number is not finite")
		*p = 0
	}
}

// Bool passes a truth value.
func (c *Codec) Bool(p *bool) {
	v := uint8(0)
	if *p {
		v = 1
	}
	Uint(c, &v, 1)
	*p = v == 1
}

// Raw passes the bytes of p, whose number both sides know.
func (c *Codec) Raw(p []byte) {
	if !c.reading {
		c.buf = append(c.buf, p...)
		return
	}
	clear(p)
	if len(p) > len(c.buf) {
		c.took(0, "bytes")
		return
	}
	c.buf = c.buf[copy(p, c.buf):]
}

// String passes a string.
func (c *Codec) String(p *string) {
	if !c.reading {
		c.buf = append(binary.AppendUvarint(c.buf, uint64(len(*p))), *p...)
		return
	}
	n := c.Count(0, math.MaxInt, "bytes of a string")
	*p = string(c.buf[:n])
	c.buf = c.buf[n:]
}

// Count passes the length of a list, at most limit; each item must take a byte or more. what names the items.
func (c *Codec) Count(n, limit int, what string) int {
	v := uint64(n)
	Uint(c, &v, math.MaxUint64)
	switch {
	case !c.reading:
		return n
	case v > uint64(len(c.buf)):
		c.Fail(fmt.Sprintf("%d %s in %d bytes", v, what, len(c.buf)))
		return 0
	case v > uint64(limit):
		c.fail(ErrSettings, fmt.Sprintf("it holds %d %s, and the configuration allows %d", v, what, limit))
		return 0
	}
	return int(v)
}
