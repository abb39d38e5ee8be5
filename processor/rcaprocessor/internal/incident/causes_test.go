// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lives steps a Keeper through seconds in which several causes may be seen at once.
type lives struct {
	keeper  Keeper
	now     int64
	asked   [][]string       // open roots that verdicts were asked beside
	from    []int64          // since when
	lastBad map[string]int64 // by root
	silent  map[string]bool
	follows map[string]string // roots that are no causes beside another that is open
}

func newLives() *lives {
	return &lives{keeper: Keeper{Policy: policy}, now: day, lastBad: map[string]int64{}, silent: map[string]bool{}}
}

// step lets one second pass in which causes are seen, which are bad, and returns what it is told: state and root.
func (l *lives) step(alarm bool, seen ...Verdict) (out []string) {
	l.now += second
	for _, v := range seen {
		l.lastBad[v.Root] = l.now
	}
	for _, in := range l.keeper.Step(Observation{
		Now: l.now, Head: l.now, Alarm: alarm, Onset: day,
		Health: func(in *Incident) (int64, bool) { return l.lastBad[in.Verdict.Root], l.silent[in.Verdict.Root] },
		Verdicts: func(from int64, open []string) []Verdict {
			l.asked, l.from = append(l.asked, open), append(l.from, from)
			return slices.DeleteFunc(slices.Clone(seen), func(v Verdict) bool { return slices.Contains(open, l.follows[v.Root]) })
		},
	}) {
		out = append(out, in.State.String()+" "+in.Verdict.Root)
	}
	return out
}

// times lets seconds pass; what it is told has the second in front.
func (l *lives) times(n int, alarm bool, seen ...Verdict) (out []string) {
	for i := range n {
		for _, said := range l.step(alarm, seen...) {
			out = append(out, fmt.Sprintf("%d %s", i+1, said))
		}
	}
	return out
}

func (l *lives) open() (roots []string) {
	for _, in := range l.keeper.Open() {
		roots = append(roots, in.Verdict.Root)
	}
	return roots
}

var (
	ordersDown = verdictOf("orders", .6)
	mailDown   = verdictOf("mail", .6)
	unsureMail = verdictOf("mail", .3)
)

func TestSeveralOpenAtOnce(t *testing.T) {
	unsure := func(v Verdict) Verdict { v.Score = .3; return v }
	for _, tt := range []struct {
		name string
		seen func(second int) []Verdict
		want []string
	}{
		{"one is sure for long before the other", func(s int) []Verdict {
			if s < 9 {
				return []Verdict{unsure(ordersDown), mailDown}
			}
			return []Verdict{ordersDown, mailDown}
		}, []string{"9 opened orders", "9 opened mail"}},
		{"the one beside it takes longer to be believed", func(s int) []Verdict {
			if s < 3 {
				return []Verdict{unsure(ordersDown)}
			} else if s < 9 {
				return []Verdict{unsure(ordersDown), mailDown}
			}
			return []Verdict{ordersDown, mailDown}
		}, []string{"9 opened orders"}},
		{"one that is not sure is none", func(s int) []Verdict {
			if s < 9 {
				return []Verdict{unsure(ordersDown), unsureMail}
			}
			return []Verdict{ordersDown, unsureMail}
		}, []string{"9 opened orders"}},
		{"nor one that does not lead", func(s int) []Verdict {
			rival := verdictOf("mail", .6, Ranked{"smtp", .5})
			if s < 9 {
				return []Verdict{unsure(ordersDown), rival}
			}
			return []Verdict{ordersDown, rival}
		}, []string{"9 opened orders"}},
		{"nor one behind the first while that is not believed", func(s int) []Verdict {
			return []Verdict{unsure(ordersDown), mailDown}
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLives()
			var got []string
			for s := 1; s <= 9; s++ {
				for _, said := range l.step(true, tt.seen(s)...) {
					got = append(got, fmt.Sprintf("%d %s", s, said))
				}
			}
			assert.Equal(t, tt.want, got)
			assert.Nil(t, l.asked[0], "none is open")
			ids := map[string]bool{}
			for _, in := range l.keeper.Open() {
				ids[in.ID] = true
			}
			assert.Len(t, ids, len(tt.want))
		})
	}
}

// The second of two causes opens once it was named for `alone`, not by the next look.
func TestSecondOpensAfterAlone(t *testing.T) {
	l := newLives()
	assert.Equal(t, []string{"2 opened orders", "8 opened mail"}, l.times(10, true, ordersDown, mailDown))
}

// A cause that appears beside an open incident is looked for every five seconds, and every second once it was named:
// it is one when it was for seven.
func TestJoins(t *testing.T) {
	l := newLives()
	require.Equal(t, []string{"2 opened orders"}, l.times(2, true, ordersDown))
	require.Empty(t, l.times(18, true, ordersDown), "it is looked at in the third second, and so on")
	got := l.times(10, true, ordersDown, mailDown)
	assert.Equal(t, []string{"10 opened mail"}, got, "the first look is three seconds later")
	assert.Equal(t, []string{"orders", "mail"}, l.open())
	assert.NotContains(t, l.asked, []string{"orders", "mail"})
	l.times(10, true, ordersDown, mailDown)
	assert.Contains(t, l.asked, []string{"orders", "mail"}, "beside those that are open")

	l = newLives()
	l.times(2, true, ordersDown)
	for range 5 {
		assert.Empty(t, l.times(5, true, ordersDown, mailDown), "only every other look")
		assert.Empty(t, l.times(5, true, ordersDown))
	}
	assert.Empty(t, l.times(20, true, ordersDown, unsureMail), "not sure enough")
	assert.Empty(t, l.times(20, false, ordersDown, mailDown), "no gate is open")
	require.Equal(t, []string{"orders"}, l.open())
}

// A cause beside another is looked for in the last minute, and no further back than the alarm.
func TestJoinsLookBackAMinute(t *testing.T) {
	l := newLives()
	l.times(30, true, ordersDown)
	assert.Equal(t, day, l.from[len(l.from)-1])
	l.times(90, true, ordersDown)
	look := slices.Max(l.from)
	assert.GreaterOrEqual(t, look, l.now-65*second)
	assert.LessOrEqual(t, look, l.now-60*second)
}

// What is unknown may turn out to be anything: it is revised, and nothing joins it.
func TestUnknownIsRevised(t *testing.T) {
	l := newLives()
	require.Equal(t, []string{"11 opened unknown"}, l.times(11, true, unsureMail))
	got := l.times(40, true, mailDown)
	require.NotEmpty(t, got)
	assert.Regexp(t, "^2[0-4] updated mail$", got[0])
	assert.Len(t, l.keeper.Open(), 1)
}

// Where another root explains an incident better it is that one's, but not another open incident's.
func TestRevisedRoot(t *testing.T) {
	l := newLives()
	l.follows = map[string]string{"db": "orders"}
	l.times(2, true, ordersDown)
	l.lastBad["orders"] = l.now + 60*second
	got := l.times(26, true, verdictOf("db", .6, Ranked{"orders", .2}))
	assert.Contains(t, got, "21 updated db")

	l = newLives()
	l.times(8, true, unsureOf(ordersDown), mailDown)
	require.Len(t, l.step(true, ordersDown, mailDown), 2)
	l.lastBad["orders"] = l.now + 60*second
	assert.Empty(t, l.times(40, true, mailDown), "orders are not to be blamed on mail, which has its own")
	assert.Equal(t, []string{"orders", "mail"}, l.open())
}

// Two open incidents never have one id: orders is revised to db, and orders joins with an onset in the same minute.
func TestOpenIdsDiffer(t *testing.T) {
	l := newLives()
	l.follows = map[string]string{"db": "orders"}
	l.times(2, true, ordersDown)
	l.lastBad["orders"] = l.now + 60*second
	l.times(26, true, verdictOf("db", .6, Ranked{"orders", .2}))
	l.times(15, true, verdictOf("db", .6), ordersDown)
	require.Len(t, l.keeper.Open(), 2)
	assert.NotEqual(t, l.keeper.Open()[0].ID, l.keeper.Open()[1].ID)
}

func unsureOf(v Verdict) Verdict { v.Score = .3; return v }

// Each ends by its own health.
func TestEachResolves(t *testing.T) {
	both := func() *lives {
		l := newLives()
		l.times(8, true, unsureOf(ordersDown), mailDown)
		l.step(true, ordersDown, mailDown)
		require.Equal(t, []string{"orders", "mail"}, l.open())
		return l
	}
	t.Run("one goes on", func(t *testing.T) {
		l := both()
		assert.Equal(t, []string{"30 resolved orders"}, l.times(60, true, mailDown))
		assert.Equal(t, []string{"mail"}, l.open())
		assert.Equal(t, []string{"30 resolved mail"}, l.times(60, false))
		assert.Empty(t, l.keeper.Open())
	})
	t.Run("the other goes on", func(t *testing.T) {
		l := both()
		assert.Equal(t, []string{"30 resolved mail"}, l.times(60, true, ordersDown))
		assert.Equal(t, []string{"orders"}, l.open())
	})
	t.Run("both in one second", func(t *testing.T) {
		l := both()
		assert.Equal(t, []string{"30 resolved orders", "30 resolved mail"}, l.times(60, false))
		assert.Len(t, l.keeper.past, 2)
	})
	t.Run("one is silent", func(t *testing.T) {
		l := both()
		l.silent["orders"] = true
		assert.Equal(t, []string{"30 resolved mail", "300 resolved orders"}, l.times(400, false))
	})
	t.Run("when it was bad is remembered, though nobody says so any more", func(t *testing.T) {
		l := both()
		l.times(10, false, ordersDown)
		l.lastBad = map[string]int64{}
		assert.Equal(t, []string{"20 resolved mail", "30 resolved orders"}, l.times(60, false))
	})
	t.Run("what took too long", func(t *testing.T) {
		l := both()
		l.keeper.Policy.MaxDuration = 100 * second
		l.times(99, true, ordersDown, mailDown)
		assert.Equal(t, []string{"1 resolved orders", "1 resolved mail"}, l.times(1, true, ordersDown, mailDown))
	})
}

// Of several that end in one second none is a known cause for the last word on another.
func TestEndedIsNotKnown(t *testing.T) {
	l := newLives()
	l.keeper.open = []*Incident{{ID: "a", Verdict: ordersDown}, {ID: "b", Verdict: mailDown}, {ID: "c", Verdict: verdictOf("db", .6)}}
	l.now += 100 * second
	l.lastBad["db"] = l.now
	l.step(false)
	assert.Equal(t, [][]string{{"db"}, {"db"}}, l.asked)
}

// The last word on one that ends is not another's.
func TestLastWord(t *testing.T) {
	l := newLives()
	l.times(2, true, ordersDown)
	l.lastBad["orders"] = l.now
	last := verdictOf("orders", .9)
	var ended Incident
	for i := 0; i < 60 && ended.State != Resolved; i++ {
		l.now += second
		for _, in := range l.keeper.Step(Observation{
			Now: l.now, Head: l.now, Onset: day, Health: func(*Incident) (int64, bool) { return l.lastBad["orders"], false },
			Verdicts: func(int64, []string) []Verdict { return []Verdict{mailDown, last} },
		}) {
			ended = in
		}
	}
	assert.Equal(t, last, ended.Verdict)
}

// What ended lately reopens, whatever ended after it; of those so many are remembered.
func TestReopensAmongPast(t *testing.T) {
	l := newLives()
	ids := map[string]string{}
	const n = maxPast + 1
	root := func(i int) string { return string(rune('a' + i)) }
	l.keeper.Policy.ResolveAfter, l.keeper.Policy.ReopenWithin = second, 3600*second
	for i := range n {
		l.times(2, true, verdictOf(root(i), .6))
		require.Len(t, l.keeper.Open(), 1)
		ids[root(i)] = l.keeper.Open()[0].ID
		l.times(2, false)
		require.Empty(t, l.keeper.Open())
	}
	require.Len(t, l.keeper.past, maxPast)
	assert.Equal(t, Beyond{Past: 1}, l.keeper.Beyond)
	l.keeper.past[1].Onset -= 1000 * second // to be told from a new one
	l.times(2, true, verdictOf(root(2), .6))
	assert.Equal(t, ids[root(2)], l.keeper.Open()[0].ID)
	assert.Equal(t, l.keeper.past[1].Onset, l.keeper.Open()[0].Onset)
	l.times(2, false)
	l.times(2, true, verdictOf(root(0), .6))
	assert.Greater(t, l.keeper.Open()[0].Onset, day-second, "the first is forgotten")
}

func TestOpenIsBounded(t *testing.T) {
	l := newLives()
	var all []Verdict
	for i := range maxOpen + 5 {
		all = append(all, verdictOf(string(rune('a'+i)), .6))
	}
	l.times(2, true, all[0])
	l.times(30, true, all...)
	assert.Len(t, l.keeper.Open(), maxOpen)
	assert.Positive(t, l.keeper.Beyond.Open)
	assert.Zero(t, l.keeper.Beyond.Untold)
}

// A clock set back voids what ended and what was counted; what is open stays, in the time that is true now.
func TestRewindOfSeveral(t *testing.T) {
	l := newLives()
	l.times(8, true, unsureOf(ordersDown), mailDown)
	l.step(true, ordersDown, mailDown)
	l.times(35, true, mailDown)
	require.Equal(t, []string{"mail"}, l.open())
	back := day - 1000*second
	l.keeper.Rewind(back)
	assert.Empty(t, l.keeper.past)
	assert.Empty(t, l.keeper.streaks)
	for _, in := range l.keeper.Open() {
		assert.LessOrEqual(t, max(in.Onset, in.Detected, in.Seen, in.Changed, in.LastBad), back)
	}
}
