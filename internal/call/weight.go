// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"math"
	"strings"
)

// weight is the adjusted count that the tracestate tells: how many spans of the real traffic this
// one stands for. It is 1 when nothing, or nothing valid, is said.
func weight(tracestate string) float64 {
	rest := tracestate
	for rest != "" {
		var member string
		member, rest, _ = strings.Cut(rest, ",")
		if value, ok := strings.CutPrefix(strings.TrimSpace(member), "ot="); ok {
			return weightOf(value)
		}
	}
	return 1
}

// weightOf reads the value of the ot member: sub-keys with ';' between.
func weightOf(value string) float64 {
	older := 1.0
	for value != "" {
		var field string
		field, value, _ = strings.Cut(value, ";")
		if th, ok := strings.CutPrefix(field, "th:"); ok {
			return weightOfThreshold(th)
		}
		if p, ok := strings.CutPrefix(field, "p:"); ok {
			// p is the exponent of the sampling probability 2^-p; 63 stands for probability zero.
			if n, ok := parseInt(p); ok && n >= 0 && n < 63 {
				older = math.Ldexp(1, int(n))
			}
		}
	}
	return older
}

// weightOfThreshold reads a rejection threshold: up to 14 hex digits, trailing zeros left out.
func weightOfThreshold(th string) float64 {
	if th == "" || len(th) > 14 {
		return 1
	}
	var t uint64
	for i := range len(th) {
		c := th[i]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		default:
			return 1
		}
		t = t<<4 | uint64(c)
	}
	t <<= 4 * uint(14-len(th))
	const all = 1 << 56
	return all / float64(all-t)
}
