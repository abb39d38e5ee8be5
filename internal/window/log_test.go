// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package window

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestLog2(t *testing.T) {
	assert.Zero(t, Log2(1))
	assert.EqualValues(t, 10, Log2(1024))
	rapid.Check(t, func(t *rapid.T) {
		x := 1 + rapid.Float64Range(0, math.MaxInt64/1e3).Draw(t, "x")
		require.InDelta(t, math.Log2(x)-1.5e-6, Log2(x), 1.6e-6)
		require.LessOrEqual(t, Log2(x), Log2(math.Nextafter(x, math.Inf(1))))
	})
}

func BenchmarkLog2(b *testing.B) {
	sum := 0.0
	for i := range b.N {
		sum += Log2(1 + float64(i))
	}
	if b.N > 1 && sum == 0 {
		b.Fatal("no sum")
	}
}
