// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// count writes 58123 as 58,123.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// after writes a time by its distance from the injection of the fault, which is what a reader compares.
func after(t, injected time.Time) string {
	d := t.Sub(injected).Seconds()
	clock := t.UTC().Format("15:04:05.0")
	switch {
	case injected.IsZero():
		return clock
	case d < 0:
		return fmt.Sprintf("%s (%.1f s before the fault)", clock, -d)
	default:
		return fmt.Sprintf("%s (%.1f s into it)", clock, d)
	}
}

// indent puts a field's name before its text, and breaks the text at spaces to lines of 100 columns.
func indent(name, text string) string {
	const width, margin = 100, 16
	var b strings.Builder
	fmt.Fprintf(&b, "  %-*s", margin-2, name)
	col := margin
	for i, word := range strings.Fields(text) {
		if i > 0 && col+1+len(word) > width {
			b.WriteString("\n" + strings.Repeat(" ", margin))
			col = margin
		} else if i > 0 {
			b.WriteByte(' ')
			col++
		}
		b.WriteString(word)
		col += len(word)
	}
	return b.String()
}
