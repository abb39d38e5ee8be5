// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package watermark

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
)

// A clock made of another's words goes on as that one does.
func TestWords(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		at := 1_700_000_000 * second
		step := func(clocks ...*Clock) (told [][2]int64) {
			at += r.Int64N(second)
			end, source := at-r.Int64N(8*second), r.Uint64N(3)
			switch r.IntN(40) {
			case 0:
				at += r.Int64N(600 * second)
			case 1:
				end += r.Int64N(7200*second) - 3600*second
			}
			for _, c := range clocks {
				t, p := c.Observe(end, source)
				told = append(told, [2]int64{t, int64(p)})
			}
			return told
		}
		a := NewClock(10 * second)
		for range 100 + r.IntN(2000) {
			step(a)
		}
		b := NewClock(10 * second)
		if !b.SetWords(a.Words()) || !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d: %+v is not %+v", seed, b, a)
		}
		for range 1000 {
			if told := step(a, b); told[0] != told[1] || a.Mark() != b.Mark() {
				t.Fatalf("seed %d: told %v", seed, told)
			}
		}
	}
}

// Every field is among the words: one that is added later must be too.
func TestEveryFieldIsAWord(t *testing.T) {
	fields := 0
	kind := reflect.TypeFor[Clock]()
	for i := range kind.NumField() {
		if f := kind.Field(i); f.Type.Kind() == reflect.Array {
			fields += f.Type.Len()
		} else if f.Name != "allowed" {
			fields++
		}
	}
	if n := len(NewClock(second).Words()); n != fields {
		t.Errorf("%d words for %d fields: visit forgets some", n, fields)
	}
}

func TestImpossibleWords(t *testing.T) {
	c := NewClock(10 * second)
	c.Observe(1_700_000_000*second, 1)
	good := c.Words()
	before := *c
	for i := range good {
		for _, x := range []int64{math.MinInt64, math.MaxInt64, -1} {
			bad := append([]int64(nil), good...)
			bad[i] = x
			fresh := NewClock(10 * second)
			if fresh.SetWords(bad) { // then it must work
				fresh.Observe(1_700_000_001*second, 2)
				fresh.Observe(5, 2)
				fresh.Idle()
			}
		}
	}
	if c.SetWords(good[1:]) || c.SetWords(append(good, 1)) || c.SetWords(nil) {
		t.Error("a clock has a fixed number of words")
	}
	good[0] = -1
	if c.SetWords(good) || *c != before {
		t.Error("what cannot be changes nothing")
	}
}
