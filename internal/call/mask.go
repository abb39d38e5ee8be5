// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

// Shapes of parts that stand for one thing among many.
const (
	uuidLength   = 36
	minHex       = 8  // hex digits from here on are an id, if a decimal one is among them
	minDigitRun  = 3  // inside a word: order1234, but not s3, utf8, http2
	minToken     = 16 // long mixes of letters and digits: ULIDs, keys
	tokenDigits  = 3
	mask         = "{}"
	uuidHyphenAt = 8
)

// masked replaces the parts of a span's name that differ from call to call by {}. A name without
// digits is returned as it is; others are looked up by their masked form, so that names seen
// before cost no allocation, however many ids they come with.
func (n *names) masked(s string) string {
	if !hasDigit(s) {
		return s
	}
	n.buf = n.buf[:0]
	for i := 0; i < len(s); {
		if !alnum[s[i]] {
			n.buf = append(n.buf, s[i])
			i++
			continue
		}
		if isUUID(s[i:]) {
			n.buf = append(n.buf, mask...)
			i += uuidLength
			continue
		}
		j := i + 1
		for j < len(s) && alnum[s[j]] {
			j++
		}
		n.buf = maskWord(n.buf, s[i:j])
		i = j
	}
	if string(n.buf) == s {
		return s
	}
	return n.intern()
}

// maskWord appends a run of letters and digits, masked as a whole, in part, or not.
func maskWord(buf []byte, w string) []byte {
	digits, hex := 0, true
	for i := range len(w) {
		c := w[i]
		if c >= '0' && c <= '9' {
			digits++
		} else if c |= 0x20; c < 'a' || c > 'f' {
			hex = false
		}
	}
	switch {
	case digits == 0:
		return append(buf, w...)
	case digits == len(w), hex && len(w) >= minHex, len(w) >= minToken && digits >= tokenDigits:
		return append(buf, mask...)
	}
	for i := 0; i < len(w); {
		j := i
		for j < len(w) && w[j] >= '0' && w[j] <= '9' {
			j++
		}
		if j-i >= minDigitRun {
			buf = append(buf, mask...)
		} else {
			if j == i {
				j++
			}
			buf = append(buf, w[i:j]...)
		}
		i = j
	}
	return buf
}

func hasDigit(s string) bool {
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			return true
		}
	}
	return false
}

func isUUID(s string) bool {
	if len(s) < uuidLength || s[uuidHyphenAt] != '-' {
		return false
	}
	for i := range uuidLength {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
				return false
			}
		}
	}
	return len(s) == uuidLength || !alnum[s[uuidLength]]
}

// alnum marks letters and digits; bytes of other scripts count as letters.
var alnum = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80
	}
	return t
}()
