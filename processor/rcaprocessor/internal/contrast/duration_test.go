// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package contrast

import "testing"

func BenchmarkDuration(b *testing.B) {
	var c cell
	for i := range b.N {
		d := duration(start, int64(i)*7919)
		c.add(&d)
	}
	if c.n == 0 {
		b.Fatal()
	}
}
