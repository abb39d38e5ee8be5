// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package contrast

import "github.com/cespare/xxhash/v2"

const (
	// templateBytes and templateWords bound how far a log line is read: its constant part comes first, lists
	// of values follow.
	templateBytes = 256
	templateWords = 12
)

// TemplateOf hashes the constant part of a log line: its first words, those with digits masked. A word is a
// run of letters, digits and dots, dashes and underscores within; what lies between words does not count.
func TemplateOf(line string) uint64 {
	var buf [templateBytes]byte
	out := buf[:0]
	words := 0
	for i, n := 0, min(len(line), templateBytes); i < n && words < templateWords; {
		if !wordByte(line[i]) {
			i++
			continue
		}
		j, digits := i, false
		for j < n && wordByte(line[j]) {
			digits = digits || line[j] >= '0' && line[j] <= '9'
			j++
		}
		if !digits {
			if len(out)+j-i+1 > len(buf) {
				break
			}
			out = append(append(out, line[i:j]...), ' ')
			words++
		}
		i = j
	}
	return xxhash.Sum64(out)
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_' || c >= 0x80
}
