// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func states(in *Incident) (out []State) {
	for _, c := range in.History {
		out = append(out, c.State)
	}
	return out
}

// An incident remembers what was said of it, over its end and its return.
func TestHistory(t *testing.T) {
	l := newLife(t)
	first := l.badFor(2, verdictOf("orders", .6))
	require.NotNil(t, first)
	require.Len(t, first.History, 1)
	assert.Equal(t, Change{At: first.Seen, State: Opened, Root: "orders", Reason: "errors", Score: .6, Impacted: 1}, first.History[0])
	told := l.badFor(25, verdictOf("orders", .9))
	require.NotNil(t, told)
	assert.Equal(t, []State{Opened, Updated}, states(told))
	assert.Equal(t, []float64{.6, .9}, []float64{told.History[0].Score, told.History[1].Score})
	l.resolves(false)
	ended := l.keeper.past[0]
	assert.Equal(t, []State{Opened, Updated, Resolved}, states(ended))
	assert.Equal(t, ended.Resolved, ended.History[2].At)
	again := l.badFor(2, verdictOf("orders", .6))
	require.NotNil(t, again)
	assert.Equal(t, []State{Opened, Updated, Resolved, Opened}, states(again))
	assert.Len(t, ended.History, 3, "the past stays as it was")
	assert.Len(t, first.History, 1, "and so does what was handed out")
}

func TestHistoryIsBounded(t *testing.T) {
	var k Keeper
	in := new(Incident)
	for range maxHistory + 7 {
		k.note(in)
	}
	assert.Len(t, in.History, maxHistory)
	assert.Equal(t, 7, in.Untold)
	assert.Equal(t, Beyond{Untold: 7}, k.Beyond)
}

// A clock set back takes what was said with it, and leaves alone what was handed out.
func TestHistoryIsRewound(t *testing.T) {
	l := newLife(t)
	told := l.badFor(2, verdictOf("orders", .6))
	at := told.History[0].At
	l.keeper.Rewind(day - 1000*second)
	assert.Equal(t, day-1000*second, l.keeper.Open()[0].History[0].At)
	assert.Equal(t, at, told.History[0].At)
}
