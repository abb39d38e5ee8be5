// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package story

import "slices"

type key struct{ a, b uint64 }

// index numbers keys in the order in which they are first asked for.
type index struct {
	keys  []key
	slots []int32
}

// reset forgets all keys and makes room for n.
func (x *index) reset(n int) {
	size := 8
	for size < 2*n {
		size *= 2
	}
	x.keys = x.keys[:0]
	x.slots = slices.Grow(x.slots[:0], size)[:size]
	for i := range x.slots {
		x.slots[i] = none
	}
}

func (x *index) find(k key) (number int32, fresh bool) {
	mask := uint64(len(x.slots) - 1)
	h := (k.a*0x9e3779b97f4a7c15 ^ k.b*0xd1b54a32d192ed03) >> 24
	for ; ; h++ {
		switch n := x.slots[h&mask]; {
		case n == none:
			n = int32(len(x.keys))
			x.slots[h&mask] = n
			x.keys = append(x.keys, k)
			return n, true
		case x.keys[n] == k:
			return n, false
		}
	}
}
