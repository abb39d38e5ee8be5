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
	// hexWord: a word of so many letters, all of them hexadecimal, is a number.
	hexWord = 8

	escape = '\x1b'
)

// TemplateWith is the key of a log record: its text by TemplateOf, its event name and the type of its exception, each of
// which may be "".
func TemplateWith(event, exception, text string) uint64 {
	h := TemplateOf(text)
	if event == "" && exception == "" {
		return h
	}
	var d xxhash.Digest
	d.ResetWithSeed(h)
	for _, s := range [2]string{event, exception} {
		_, _ = d.WriteString(s[:min(len(s), templateBytes)])
		_, _ = d.Write([]byte{0})
	}
	return d.Sum64()
}

// TemplateOf hashes the constant part of a log line: its first words without the values. A word is a run of
// letters, digits, dots, dashes and underscores; what lies between words does not count. A value is a word
// with a digit, one of hexadecimal letters alone, one that follows an equals sign, and one that hangs on a value
// without a blank; what is quoted, unless it is a key; a path from the root on, and what follows a scheme; the day and
// the month that a line begins with. The number in name.of.class#12 or file.go:12 is no value: it says which statement
// wrote the line.
//
// It is a function of the line alone, which a parse tree that is grown line by line (Drain) is not: its templates
// depend on the order of arrival, so that those of two shards, or of before and after a restart, could not be added up.
func TemplateOf(line string) uint64 {
	var buf [templateBytes]byte
	out := buf[:0]
	value, dotted := false, false // of the word before
	n := min(len(line), templateBytes)
	for i, from, words := 0, 0, 0; i < n && words < templateWords; {
		if kinds[line[i]]&inWord == 0 {
			if kinds[line[i]]&opens == 0 {
				i++
				continue
			}
			next := skip(line[:n], i)
			if next > i+1 && line[i] != escape {
				value, dotted, from = true, false, next
			}
			i = next
			continue
		}
		start, any, all := i, kind(0), inWord|hex
		for ; i < n && kinds[line[i]]&inWord != 0; i++ {
			any |= kinds[line[i]]
			all &= kinds[line[i]]
		}
		between := line[from:start]
		from = i
		switch {
		case any&digit != 0 && any&(letter|dot) == 0 && dotted && (between == "#" || between == ":"):
			value = false
		case any&digit != 0, all&hex != 0 && i-start >= hexWord, strings.HasSuffix(between, "="),
			value && !strings.ContainsAny(between, " \t\r\n"),
			words < 2 && i-start == 3 && calendar(line[start:i]):
			value = true
		default:
			value = false
			words++
		}
		dotted = any&dot != 0 && !value
		if !value {
			if len(out)+i-start+1 > len(buf) {
				break
			}
			out = append(append(out, line[start:i]...), ' ')
		}
	}
	return xxhash.Sum64(out)
}

// kind is what a byte is.
type kind uint8

const (
	inWord kind = 1 << iota
	digit
	dot
	letter // or a dash, an underscore, a byte of a letter beyond ASCII
	hex    // a letter that may be a digit
	opens  // may begin a value outside of words
)

var kinds = func() (k [256]kind) {
	for c := range k {
		switch c := byte(c); {
		case c >= '0' && c <= '9':
			k[c] = inWord | digit
		case c == '.':
			k[c] = inWord | dot
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			k[c] = inWord | letter | hex
		case c|0x20 >= 'a' && c|0x20 <= 'z', c == '-', c == '_', c >= 0x80:
			k[c] = inWord | letter
		case strings.IndexByte("\"'`/:\x1b", c) >= 0:
			k[c] = opens
		}
	}
	return k
}()

// skip returns where the value ends that begins at i, or the next byte where none does.
func skip(line string, i int) int {
	before, after := byte(' '), byte(' ')
	if i > 0 {
		before = line[i-1]
	}
	if i+1 < len(line) {
		after = line[i+1]
	}
	switch c := line[i]; c {
	case escape:
		return colour(line, i)
	case '/':
		if kinds[before]&inWord == 0 && before != '/' && kinds[after]&inWord != 0 {
			return path(line, i)
		}
	case ':':
		if rest := line[i+1:]; strings.HasPrefix(rest, "//") || after == '\\' && i > 0 && kinds[before]&letter != 0 {
			return path(line, i)
		}
	default:
		if i > 0 || c == '\'' { // a line that is quoted as a whole is no value
			return quoted(line, i, before)
		}
	}
	return i + 1
}

// quoted returns what follows a quoted value; a key is none. One that goes on beyond what is read of a line ends there.
// Behind a letter stands an apostrophe, or the end of a key.
func quoted(line string, i int, before byte) int {
	q, word := line[i], before
	if before == '\\' && i > 1 {
		word = line[i-2]
	}
	if kinds[word]&inWord != 0 {
		return i + 1
	}
	for k := i + 1; k < len(line); k++ {
		if line[k] != q || (line[k-1] == '\\') != (before == '\\') {
			continue
		}
		after := line[k+1:]
		if strings.HasPrefix(after, ":") && key(line[:i]) || q == '\'' && after != "" && kinds[after[0]]&inWord != 0 {
			return i + 1
		}
		return k + 1
	}
	if len(line) == templateBytes && q != '\'' {
		return len(line)
	}
	return i + 1
}

// key says that what is quoted next is a key of an object.
func key(before string) bool {
	before = strings.TrimRight(before, " \t\r\n\\")
	return strings.HasSuffix(before, "{") || strings.HasSuffix(before, ",")
}

// path returns what follows a path or an address.
func path(line string, i int) int {
	if k := strings.IndexAny(line[i:], " \t\r\n\"'`,;)]}>|"); k >= 0 {
		return i + k
	}
	return len(line)
}

// colour returns what follows a sequence that colours the text.
func colour(line string, i int) int {
	for k := i + 1; k < len(line); k++ {
		if c := line[k]; c != '[' && c != ';' && kinds[c]&digit == 0 {
			return k + 1
		}
	}
	return len(line)
}

// calendar says that a word is an English day or month as logs abbreviate them.
func calendar(word string) bool {
	const names = "Mon Tue Wed Thu Fri Sat Sun Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
	return strings.Contains(names, word)
}
