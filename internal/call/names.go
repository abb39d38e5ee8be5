// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

// maxNames bounds the cache of composed names. When it is full it starts anew: names in use come
// back with the next span, and strings handed out stay valid.
const maxNames = 2048

// names hands out strings composed of parts without allocating one twice.
type names struct {
	known map[string]string
	buf   []byte
}

// intern returns the string of buf.
func (n *names) intern() string {
	if len(n.buf) == 0 {
		return ""
	}
	if s, ok := n.known[string(n.buf)]; ok { // the compiler allocates nothing for this look-up
		return s
	}
	if n.known == nil || len(n.known) >= maxNames {
		n.known = make(map[string]string)
	}
	s := clip(string(n.buf))
	n.known[s] = s
	return s
}

// join returns a + sep + b.
func (n *names) join(a string, sep byte, b string) string {
	n.buf = append(append(append(n.buf[:0], clip(a)...), sep), clip(b)...)
	return n.intern()
}
