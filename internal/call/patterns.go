// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

// maxScan bounds how much of a message is read: stack traces end up in them.
const maxScan = 512

// patterns finds the first of a list of lower-case words in a text, whatever its case; and of a second list of words.
type patterns struct {
	list     []pattern
	byStart  [256][]uint8 // indexes into list by bucket
	details  []detailPattern
	detailBy [256][]uint8   // the same for details
	starts   [1 << 9]uint64 // one bit for each hash of a pattern's first three bytes
}

func newPatterns(list []pattern, details []detailPattern) *patterns {
	p := &patterns{list: list, details: details}
	for i, x := range list {
		b := p.start(x.word)
		p.byStart[b] = append(p.byStart[b], uint8(i))
	}
	for i, x := range details {
		b := p.start(x.word)
		p.detailBy[b] = append(p.detailBy[b], uint8(i))
	}
	return p
}

// start notes the hash of a word's first three bytes, and returns its bucket.
func (p *patterns) start(word string) uint8 {
	h := roll(roll(roll(0, word[0]), word[1]), word[2])
	p.starts[h>>6] |= 1 << (h & 63)
	return bucket(h)
}

// roll hashes the last three bytes of a text, given the hash of those before c. Case does not count: it is in a
// bit that is left out.
func roll(h uint32, c byte) uint32 { return (h<<5 | uint32(c&31)) & (1<<15 - 1) }

func bucket(h uint32) uint8 { return uint8(h ^ h>>7) }

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

// find reads s once, and returns the class of the pattern that stands first in the list. It sets detail by the first
// of the other list, unless that is known.
func (p *patterns) find(s string, detail *Detail) class {
	if len(s) > maxScan {
		s = s[:maxScan]
	}
	best, bestDetail := len(p.list), len(p.details)
	if *detail != DetailNone {
		bestDetail = 0
	}
	if len(s) < 3 {
		return classNone
	}
	h := roll(roll(0, s[0]), s[1])
	for i := 2; i < len(s); i++ {
		h = roll(h, s[i])
		if p.starts[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		start := bucket(h)
		for _, k := range p.byStart[start] {
			if int(k) >= best {
				break
			}
			if startsWithFold(s[i-2:], p.list[k].word) {
				best = int(k)
				break
			}
		}
		for _, k := range p.detailBy[start] {
			if int(k) >= bestDetail {
				break
			}
			if startsWithFold(s[i-2:], p.details[k].word) {
				bestDetail = int(k)
				break
			}
		}
	}
	if *detail == DetailNone && bestDetail < len(p.details) {
		*detail = p.details[bestDetail].detail
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
