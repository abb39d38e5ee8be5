// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// From the onset on, the evidence of two gates that see a part each is that of one that sees all.
func TestMergeAddsEvidence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		test, threshold := ErrorTest(0), 1e6 // far: no bound is met
		var whole, a, b Gate
		end := int64(1000) * second
		step := func(units, bad [2]int64) {
			end += second
			whole.Step(end, units[0]+units[1], bad[0]+bad[1], test, threshold, 10)
			a.Step(end, units[0], bad[0], test, threshold, 10)
			b.Step(end, units[1], bad[1], test, threshold, 10)
		}
		for range 5 {
			step([2]int64{10, 10}, [2]int64{})
		}
		onset := end
		for range rapid.IntRange(1, 20).Draw(t, "seconds") {
			var units, bad [2]int64
			for i := range units {
				bad[i] = rapid.Int64Range(5, 20).Draw(t, "bad")
				units[i] = bad[i] + rapid.Int64Range(0, 20).Draw(t, "good")
			}
			step(units, bad)
		}
		ab := a
		ab.Merge(&b)
		ba := b
		ba.Merge(&a)
		require.Equal(t, ab, ba)
		require.InDelta(t, whole.s, ab.s, 1e-6)
		ab.s = whole.s
		require.Equal(t, whole, ab)
		require.Equal(t, onset, ab.Onset())
	})
}

func TestMergeOfOnsets(t *testing.T) {
	const at = 1000 * second
	for _, tt := range []struct {
		name       string
		a, b, want Gate
	}{
		{"both quiet", Gate{onset: at}, Gate{onset: at + 1}, Gate{onset: at + 1}},
		{"one sees something", Gate{onset: at}, Gate{s: 20, onset: at - 9, bad: 7, units: 8}, Gate{s: 20, onset: at - 9, bad: 7, units: 8}},
		{"the other does", Gate{s: 20, onset: at - 9, bad: 7, units: 8}, Gate{onset: at}, Gate{s: 20, onset: at - 9, bad: 7, units: 8}},
		{"one does, the other saw noise", Gate{s: 20, onset: at - 9, bad: 7, units: 8}, Gate{s: noise, onset: at}, Gate{s: 20 + noise, onset: at - 9, bad: 7, units: 8}},
		{"both do", Gate{s: 20, onset: at - 5, bad: 7, units: 8}, Gate{s: 10, onset: at - 9, bad: 3, units: 4}, Gate{s: 30, onset: at - 9, bad: 10, units: 12}},
		{"one has healed", Gate{s: 20, onset: at, heal: 8, bottom: 5, recent: 5, opened: true}, Gate{s: 20, onset: at, heal: 7, bottom: 6, recent: 4},
			Gate{s: 40, onset: at, heal: healed, bottom: 6, recent: 5, opened: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.a
			got.Merge(&tt.b)
			assert.Equal(t, tt.want, got)
		})
	}
}
