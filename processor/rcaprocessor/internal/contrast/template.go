// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package contrast

import (
	"strings"

	"github.com/cespare/xxhash/v2"
)

const (
	// templateBytes and templateWords bound how far a log line is read: its constant part comes first.
	templateBytes = 256
	templateWords = 12
)

// TemplateOf hashes the constant part of a log line: its first words without the values. A word is a run of
// letters, digits, dots, dashes and underscores; what lies between words does not count. A value is a word
// with a digit, one that follows an equals sign, and one that hangs on a value without a blank. The number
// in name.of.class#12 or file.go:12 is no value: it says which statement wrote the line.
func TemplateOf(line string) uint64 {
	var buf [templateBytes]byte
	out := buf[:0]
	value, dotted := false, false // of the word before
	for i, from, words, n := 0, 0, 0, min(len(line), templateBytes); i < n && words < templateWords; {
		if !wordByte(line[i]) {
			i++
			continue
		}
		start, digits, dots, letters := i, false, false, false
		for ; i < n && wordByte(line[i]); i++ {
			switch c := line[i]; {
			case c >= '0' && c <= '9':
				digits = true
			case c == '.':
				dots = true
			default:
				letters = true
			}
		}
		between := line[from:start]
		from = i
		switch {
		case digits && !letters && !dots && dotted && (between == "#" || between == ":"):
			value = false
		case digits, strings.HasSuffix(between, "="), value && !strings.ContainsAny(between, " \t\r\n"):
			value = true
		default:
			value = false
			words++
		}
		dotted = dots && !value
		if !value {
			if len(out)+i-start+1 > len(buf) {
				break
			}
			out = append(append(out, line[start:i]...), ' ')
		}
	}
	return xxhash.Sum64(out)
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_' || c >= 0x80
}
