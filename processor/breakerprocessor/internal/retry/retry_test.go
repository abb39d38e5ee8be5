// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package retry

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestQuota(t *testing.T) {
	q := NewQuota(10)
	assert.False(t, q.Take(11))
	assert.True(t, q.Take(10), "a refusal takes nothing")
	q.Give(math.MaxUint32)
	assert.False(t, q.Take(11), "never more than its capacity")
	assert.True(t, q.Take(10))
}

func TestThrottle(t *testing.T) {
	th := NewThrottle(4, 0.5)
	th.Succeeded()
	assert.True(t, th.Failed(), "3 of 4; never more than all")
	assert.False(t, th.Failed(), "exactly half is too few")
	for range 10 {
		assert.False(t, th.Failed())
	}
	for range 6 {
		th.Succeeded()
	}
	assert.False(t, th.Failed(), "never below 0: 3 of 4, less this one")
	th.Succeeded()
	th.Succeeded()
	th.Succeeded()
	assert.True(t, th.Failed())
}

func TestBudget(t *testing.T) {
	b := Budget{Ratio: 0.2, Minimum: 3}
	assert.True(t, b.Allow(0, 2))
	assert.False(t, b.Allow(0, 3))
	assert.True(t, b.Allow(100, 19))
	assert.False(t, b.Allow(100, 20))
	assert.EqualValues(t, uint32(math.MaxUint32), Budget{Ratio: 9}.Limit(math.MaxUint32))
}

func TestReject(t *testing.T) {
	assert.Zero(t, Reject(0, 0, 2))
	assert.Equal(t, 0.5, Reject(1, 0, 2))
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Float64Range(0, 1e6).Draw(t, "requests")
		p := Reject(n, n*rapid.Float64Range(0, 1).Draw(t, "accepted"), rapid.Float64Range(1, 4).Draw(t, "k"))
		require.GreaterOrEqual(t, p, 0.0)
		require.Less(t, p, 1.0)
	})
}

func TestAmplification(t *testing.T) {
	assert.Zero(t, Amplification(0, 5))
	assert.Equal(t, 2.5, Amplification(2, 5))
}

func TestJoin(t *testing.T) {
	tests := map[string]struct {
		in   []Attempt
		want Logical
	}{
		"none":                            {nil, Logical{}},
		"one":                             {[]Attempt{{OK: true}}, Logical{1, 0, true}},
		"a retry":                         {[]Attempt{{Start: 0, End: 1, OK: false, Resend: 0}, {Start: 1, End: 2, OK: true, Resend: 0}}, Logical{2, 1, true}},
		"out of order":                    {[]Attempt{{Start: 1, End: 2, OK: true, Resend: 0}, {Start: 0, End: 1, OK: false, Resend: 0}}, Logical{2, 1, true}},
		"a retry that failed too":         {[]Attempt{{Start: 0, End: 1, OK: false, Resend: 0}, {Start: 1, End: 2, OK: false, Resend: 0}}, Logical{2, 1, false}},
		"overlap":                         {[]Attempt{{Start: 0, End: 2, OK: false, Resend: 0}, {Start: 1, End: 3, OK: true, Resend: 0}}, Logical{2, 0, true}},
		"a loop: the first was all right": {[]Attempt{{Start: 0, End: 1, OK: true, Resend: 0}, {Start: 1, End: 2, OK: true, Resend: 0}}, Logical{2, 0, true}},
		"its own word":                    {[]Attempt{{Start: 0, End: 1, OK: true, Resend: 0}, {Start: 0, End: 2, OK: true, Resend: 1}}, Logical{2, 1, true}},
		"its own word is all there is":    {[]Attempt{{Start: 0, End: 1, OK: false, Resend: 0}, {Start: 1, End: 2, OK: false, Resend: 0}, {Start: 2, End: 3, OK: true, Resend: 1}}, Logical{3, 1, true}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { assert.Equal(t, tt.want, Join(tt.in)) })
	}
}
