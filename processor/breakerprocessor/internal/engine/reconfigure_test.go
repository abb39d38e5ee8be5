// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/decision"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/edge"
)

// A reload in the middle of an outage: the same is told as without it, from then on to the new listener.
func TestReconfigureGoesOn(t *testing.T) {
	calls := steady(start, start+90*second, between(30, 40))
	_, want, _ := run(calls, 100)
	for _, lateness := range []int64{10 * second, 20 * second} {
		var before, after []string
		e := New(settings(), func(ev decision.Event) { before = append(before, tell(&ev)) })
		assert.False(t, e.Begun())
		half := len(calls) * 35 / 90
		learn(e, calls[:half])
		assert.True(t, e.Begun())
		require.NotZero(t, e.Counts().Results[edge.Counted])
		require.NotZero(t, e.Counts().Looks)
		set := settings()
		set.Lateness = lateness
		require.True(t, e.Reconfigure(set, func(ev decision.Event) { after = append(after, tell(&ev)) }))
		assert.Zero(t, e.Counts(), "a new engine's counts begin anew")
		assert.EqualValues(t, 1, e.States()[circuit.Open])
		learn(e, calls[half:])
		assert.Equal(t, want[:1], before)
		assert.Equal(t, want[1:], after)
		assert.EqualValues(t, len(calls)-half, e.Counts().Results[edge.Counted])
		assert.Zero(t, e.Counts().Unfound)
	}
}

// What can't be taken over leaves the engine as it was.
func TestReconfigureCold(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"max spans":       func(s *Settings) { s.MaxSpans *= 2 },
		"spans per trace": func(s *Settings) { s.MaxTraceSpans *= 2 },
		"window":          func(s *Settings) { s.Buckets, s.Bucket = 5, 2*second },
	} {
		t.Run(name, func(t *testing.T) {
			e, _, _ := run(steady(start, start+35*second, between(30, 40)), 100)
			set, counts := settings(), e.Counts()
			change(&set)
			set.MaxFailing = 1
			assert.False(t, e.Reconfigure(set, nil))
			assert.Equal(t, counts, e.Counts())
			assert.Equal(t, settings().MaxFailing, e.stories.soon.limit)
		})
	}
}

// A clock that waits for other than before stands where it stood: one span does not move it by hours.
func TestReconfigureClock(t *testing.T) {
	e, _, _ := run(steady(start, start+35*second, never), 100)
	set := settings()
	set.Lateness = 20 * second
	require.True(t, e.Reconfigure(set, func(decision.Event) {}))
	at := start + 3600*second
	learn(e, steady(at, at+1, never))
	assert.EqualValues(t, 2, e.Counts().Future)
}

func TestReconfigureBounds(t *testing.T) {
	e, _, _ := run(steady(start, start+35*second, between(30, 40)), 100)
	set := settings()
	set.MaxFailing = 0
	require.True(t, e.Reconfigure(set, func(decision.Event) {}))
	learn(e, steady(start+35*second, start+36*second, between(30, 40)))
	assert.Positive(t, e.Counts().Skipped)
}
