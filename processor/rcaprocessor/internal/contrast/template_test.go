// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package contrast

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTemplateOf(t *testing.T) {
	tests := []struct {
		name, a, b string
		same       bool
	}{
		{"ids", "order 17 placed", "order 4711 placed", true},
		{"uuids", "user 0b23bd3e-876a-4af3-b920-c50a90c90b04 in", "user f3d4d4ef-693b-4456-8eed-59c0d717dd08 in", true},
		{"times", "16:42:09.495 INFO ready", "2023-01-29T17:00:00Z INFO ready", true},
		{"addresses", "dial 10.0.0.1:5432 refused", "dial 10.2.3.4:5432 refused", true},
		{"pairs", "paid card=visa amount=3", "paid card=master amount=70", true},
		{"lists that hang together", "prices of [a1:Fast, b2:Slow]", "prices of [c3:Slow]", true},
		{"another message", "order 17 placed", "order 17 refused", false},
		{"after an id", "order 17 placed", "order 17", false},
		{"another statement of a class", "p.c.Prices#39 query", "p.c.Prices#46 query", false},
		{"another line of a file", "prices.go:39 query", "prices.go:46 query", false},
		{"a port is no statement", "to db-main:5432 in vain", "to db-main:5433 in vain", true},
		{"what follows the first words", strings.Repeat("word ", 12) + "a", strings.Repeat("word ", 12) + "b", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.same, TemplateOf(tt.a) == TemplateOf(tt.b))
		})
	}
}

func FuzzTemplateOf(f *testing.F) {
	f.Add("16:42:09.495 INFO f.m.c.Basic#45 [query][a=b, c: {1:x}]")
	f.Add(strings.Repeat("x", 5000))
	f.Add("\xff\x00=#:")
	f.Fuzz(func(t *testing.T, line string) {
		if len(line) > templateBytes && TemplateOf(line) != TemplateOf(line[:templateBytes]) {
			t.Error("what lies beyond the bound counts")
		}
	})
}
