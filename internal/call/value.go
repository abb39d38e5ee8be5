// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"math"
	"strconv"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// MaxName bounds, in bytes, every string of a Call and a Resource, so that an attribute of a
// megabyte cannot fill the tables behind. Longer ones are cut.
const MaxName = 256

func clip(s string) string {
	if len(s) <= MaxName {
		return s
	}
	n := MaxName
	for n > MaxName-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// text reads a string attribute; any other type but "empty" is wrong.
func (b *Batch) text(v pcommon.Value) string {
	s := v.Str()
	if s == "" {
		if t := v.Type(); t != pcommon.ValueTypeStr && t != pcommon.ValueTypeEmpty {
			b.Skipped[SkipWrongType]++
		}
	}
	return s
}

// number reads an integer attribute that some instrumentations send as text or as a double.
// ok is false when there is none to be read.
func (b *Batch) number(v pcommon.Value) (n int64, ok bool) {
	switch v.Type() {
	case pcommon.ValueTypeInt:
		return v.Int(), true
	case pcommon.ValueTypeDouble:
		if d := v.Double(); d == math.Trunc(d) && math.Abs(d) < 1<<53 {
			return int64(d), true
		}
	case pcommon.ValueTypeStr:
		if n, ok := parseInt(v.Str()); ok {
			return n, true
		}
	case pcommon.ValueTypeEmpty:
		return 0, false
	}
	b.Skipped[SkipWrongType]++
	return 0, false
}

// partition reads the number of a partition, which is text now and was an integer; empty when it is none.
func (b *Batch) partition(v pcommon.Value) string {
	if n := v.Int(); n > 0 && n < int64(len(smallNumbers)) {
		return smallNumbers[n]
	}
	if v.Type() == pcommon.ValueTypeStr {
		return v.Str()
	}
	n, ok := b.number(v)
	switch {
	case !ok || n < 0: // the clients' word for none
		return ""
	case n < int64(len(smallNumbers)):
		return smallNumbers[n]
	}
	b.names.buf = strconv.AppendInt(b.names.buf[:0], n, 10)
	return b.names.intern()
}

// smallNumbers are those of most partitions.
var smallNumbers = func() (s [256]string) {
	for i := range s {
		s[i] = strconv.Itoa(i)
	}
	return s
}()

// port reads a port number; 0 when it is none.
func (b *Batch) port(v pcommon.Value) int32 {
	n, ok := b.number(v)
	if !ok || n <= 0 || n > math.MaxUint16 {
		return 0
	}
	return int32(n)
}

// flag reads a boolean attribute that some instrumentations send as text.
func (b *Batch) flag(v pcommon.Value) bool {
	switch v.Type() {
	case pcommon.ValueTypeBool:
		return v.Bool()
	case pcommon.ValueTypeEmpty:
		return false
	case pcommon.ValueTypeStr:
		switch v.Str() {
		case "true", "True", "1":
			return true
		case "false", "False", "0", "":
			return false
		}
	}
	b.Skipped[SkipWrongType]++
	return false
}

// code reads a status code, which conventions and languages send as numbers or as text.
func (b *Batch) code(c *code, rank uint8, v pcommon.Value) {
	if v.Type() == pcommon.ValueTypeStr {
		c.putText(rank, v.Str())
		return
	}
	if n, ok := b.number(v); ok {
		c.putNumber(rank, n)
	}
}

// parseInt is strconv.ParseInt for short decimal numbers, without its error.
func parseInt(s string) (int64, bool) {
	digits := s
	if s != "" && s[0] == '-' {
		digits = s[1:]
	}
	if digits == "" || len(digits) > 9 {
		return 0, false
	}
	var n int64
	for i := range len(digits) {
		c := digits[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if len(digits) != len(s) {
		n = -n
	}
	return n, true
}

// int is the code as a number; ok is false when there is none or it is a word.
func (c *code) int() (n int64, ok bool) {
	if c.text != "" {
		return parseInt(c.text)
	}
	return c.number, c.rank != 0
}

// string is the code as text; numbers come from the cache of names.
func (c *code) string(n *names) string {
	if c.rank == 0 || c.text != "" {
		return clip(c.text)
	}
	n.buf = strconv.AppendInt(n.buf[:0], c.number, 10)
	return n.intern()
}
