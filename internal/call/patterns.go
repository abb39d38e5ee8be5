// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

// maxScan bounds how much of a message is read: stack traces end up in them.
const maxScan = 512

// patterns finds the first of a list of lower-case words in a text, whatever its case.
type patterns struct {
	list    []pattern
	byFirst [256][]uint8 // indexes into list by first byte, both cases
}

func newPatterns(list []pattern) *patterns {
	p := &patterns{list: list}
	for i, x := range list {
		c := x.word[0]
		p.byFirst[c] = append(p.byFirst[c], uint8(i))
		if c >= 'a' && c <= 'z' {
			p.byFirst[c-0x20] = append(p.byFirst[c-0x20], uint8(i))
		}
	}
	return p
}

// find reads s once, and returns the class of the pattern that stands first in the list.
func (p *patterns) find(s string) class {
	if len(s) > maxScan {
		s = s[:maxScan]
	}
	best := len(p.list)
	for i := range len(s) {
		for _, k := range p.byFirst[s[i]] {
			if int(k) >= best {
				break
			}
			if startsWithFold(s[i:], p.list[k].word) {
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
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != word[i] {
			return false
		}
	}
	return true
}
