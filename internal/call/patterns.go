// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

// maxScan bounds how much of a message is read: stack traces end up in them.
const maxScan = 512

// patterns finds the first of a list of lower-case words in a text, whatever its case.
type patterns struct {
	list    []pattern
	byFirst [256][]uint8    // indexes into list by first byte in lower case
	pairs   [1 << 10]uint64 // one bit for each pair of bytes that a pattern starts with
}

func newPatterns(list []pattern) *patterns {
	p := &patterns{list: list}
	for i, x := range list {
		pair := uint16(x.word[0])<<8 | uint16(x.word[1])
		p.byFirst[x.word[0]] = append(p.byFirst[x.word[0]], uint8(i))
		p.pairs[pair>>6] |= 1 << (pair & 63)
	}
	return p
}

// lower is the ASCII lower case of each byte.
var lower = func() (t [256]byte) {
	for c := range t {
		t[c] = byte(c)
		if c >= 'A' && c <= 'Z' {
			t[c] |= 0x20
		}
	}
	return t
}()

// find reads s once, and returns the class of the pattern that stands first in the list.
func (p *patterns) find(s string) class {
	if len(s) > maxScan {
		s = s[:maxScan]
	}
	best := len(p.list)
	if s == "" {
		return classNone
	}
	next := lower[s[0]]
	for i := 1; i < len(s); i++ {
		first := next
		next = lower[s[i]]
		pair := uint16(first)<<8 | uint16(next)
		if p.pairs[pair>>6]&(1<<(pair&63)) == 0 {
			continue
		}
		for _, k := range p.byFirst[first] {
			if int(k) >= best {
				break
			}
			if startsWithFold(s[i-1:], p.list[k].word) {
				best = int(k)
				break
			}
		}
	}
	if best == len(p.list) {
		return classNone
	}
	return p.list[best].class
}

// startsWithFold says that s starts with the lower-case word, ASCII case aside.
func startsWithFold(s, word string) bool {
	if len(s) < len(word) {
		return false
	}
	for i := range len(word) {
		if lower[s[i]] != word[i] {
			return false
		}
	}
	return true
}
