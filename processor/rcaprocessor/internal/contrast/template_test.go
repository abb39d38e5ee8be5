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
		{"quoted", `no user "alice"`, `no user "bob the builder"`, true},
		{"quoted with escapes", `no user "a\"l\" b" here`, `no user "bob" here`, true},
		{"quoted within what was quoted", `no user \"alice x\" here`, `no user \"bob\" here`, true},
		{"quoted once", "no user 'alice'", "no user 'bob x' ", true},
		{"an apostrophe", "can't read the users' list", "can't write the users' list", false},
		{"backticks", "run `make all` again", "run `make` again", true},
		{"keys are no values", `{"placed":"x"}`, `{"refused":"x"}`, false},
		{"values of keys", `{"user":"x y"}`, `{"user":"z"}`, true},
		{"a colon behind a value", `open "alice x": gone`, `open "bob": gone`, true},
		{"a quote without an end", `5" pipe of alice`, `5" pipe of bob`, false},
		{"a long value cut short", `got "` + strings.Repeat("a ", 200), `got "` + strings.Repeat("b ", 200), true},
		{"all of it quoted", `"order placed"`, `"order refused"`, false},
		{"paths", "open /var/lib/alice: gone", "open /home/bob: gone", true},
		{"what a path is not", "and/or", "and/not", false},
		{"addresses of the web", "get https://a.example/x/alice now", "get https://b.example/bob?q=x now", true},
		{"paths of Windows", `open C:\users\alice now`, `open C:\users\bob now`, true},
		{"durations", "took 1m3.5s", "took 17ms", true},
		{"hexadecimal", "object deadbeefcafe gone", "object 0badcafe gone", true},
		{"hexadecimal letters that are a word", "added", "faded", false},
		{"addresses of six", "dial fe80::dead:beef in vain", "dial fe80::1 in vain", true},
		{"colours", "\x1b[31mERROR\x1b[0m order refused", "ERROR order refused", true},
		{"days", "Mon Jan 2 15:04:05 2006 up", "Tue Feb 14 15:04:05 2006 up", true},
		{"beyond ASCII", "заказ 7 принят", "заказ 8 отклонён", false},
		{"what follows the first words", strings.Repeat("word ", 12) + "a", strings.Repeat("word ", 12) + "b", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.same, TemplateOf(tt.a) == TemplateOf(tt.b))
		})
	}
}

func TestTemplateWith(t *testing.T) {
	plain := TemplateWith("", "", "order 17 placed")
	assert.Equal(t, TemplateOf("order 4711 placed"), plain)
	seen := map[uint64]bool{plain: true}
	for _, k := range []uint64{
		TemplateWith("placed", "", "order 17 placed"), TemplateWith("", "placed", "order 17 placed"), TemplateWith("a", "b", "order 17 placed"),
		TemplateWith("ab", "", "order 17 placed"), TemplateWith("placed", "", ""),
	} {
		assert.False(t, seen[k])
		seen[k] = true
	}
}

func FuzzTemplateOf(f *testing.F) {
	f.Add("16:42:09.495 INFO f.m.c.Basic#45 [query][a=b, c: {1:x}]")
	f.Add(strings.Repeat("x", 5000))
	f.Add("\xff\x00=#:")
	f.Add(`a "b\" 'c' /d/e x://y \"z\" C:\\u` + "`\x1b[31m")
	f.Fuzz(func(t *testing.T, line string) {
		if len(line) > templateBytes && TemplateOf(line) != TemplateOf(line[:templateBytes]) {
			t.Error("what lies beyond the bound counts")
		}
		for i := range len(line) { // what follows a value is no part of it
			if next := skip(line, i); next <= i || next > len(line) {
				t.Fatalf("%q goes on from %d at %d", line, i, next)
			}
		}
	})
}

func BenchmarkTemplateOf(b *testing.B) {
	lines := []string{
		"19:18:50.518 INFO  p.c.PriceController#39 [findByRouteIdAndTrainType][Query price][RouteId: 0b23bd3e-876a-4af3-b920-c50a90c90b04, TrainType: ZhiDa]",
		`dial tcp "db-main" at /var/run/db.sock: connect: connection refused`,
	}
	b.ReportAllocs()
	for i := range b.N {
		TemplateOf(lines[i%2])
	}
}
