// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// The second of two causes opens once it was named for `alone` seconds, not by the next look.
func TestSecondOpensAfterAlone(t *testing.T) {
	l := newLives()
	assert.Equal(t, []string{"2 opened orders", "5 opened mail"}, l.times(8, true, ordersDown, mailDown))
}

// Two open incidents never have one id: orders is revised to db, and orders joins with an onset in the same minute.
func TestOpenIdsDiffer(t *testing.T) {
	l := newLives()
	l.follows = map[string]string{"db": "orders"}
	l.times(2, true, ordersDown)
	l.lastBad["orders"] = l.now + 60*second
	l.times(26, true, verdictOf("db", .6, Ranked{"orders", .2}))
	l.times(15, true, verdictOf("db", .6), ordersDown)
	if assert.Len(t, l.keeper.Open(), 2) {
		assert.NotEqual(t, l.keeper.Open()[0].ID, l.keeper.Open()[1].ID)
	}
}

// The first open incident that is over is not a known cause for the last word on the second.
func TestEndedIsNotKnown(t *testing.T) {
	l := newLives()
	l.keeper.open = []*Incident{{ID: "a", Verdict: ordersDown}, {ID: "b", Verdict: mailDown}, {ID: "c", Verdict: verdictOf("db", .6)}}
	l.now += 100 * second
	l.lastBad["db"] = l.now
	l.step(false)
	assert.Equal(t, []string{"db"}, l.asked[1])
}
