// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package contrast

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestLog(t *testing.T) {
	assert.Zero(t, logOf(1))
	rapid.Check(t, func(t *rapid.T) {
		x := 1 + rapid.Float64Range(0, math.MaxInt64/1e6).Draw(t, "x")
		require.InDelta(t, math.Log(x), logOf(x), 2e-6)
		require.LessOrEqual(t, logOf(x), logOf(math.Nextafter(x, math.Inf(1))))
	})
}

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
