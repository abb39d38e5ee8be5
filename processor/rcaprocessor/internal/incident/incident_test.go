// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const (
	second = int64(1e9)
	day    = 20_000 * 86_400 * second // some midnight
)

var policy = Policy{
	Confidence: 0.4, Patience: 10 * second, UpdateEvery: 20 * second, Margin: 0.15,
	ResolveAfter: 30 * second, ReopenWithin: 600 * second,
}

func verdictOf(root string, score float64, others ...Ranked) Verdict {
	return Verdict{
		Root: root, Kind: "service", Reason: "errors", Score: score, Path: []string{"gateway", root},
		Ranked: append([]Ranked{{root, score}}, others...), Impacted: []string{"gateway"}, Summary: root + " did it",
	}
}

// life steps a Keeper through seconds after midnight.
type life struct {
	t       *testing.T
	keeper  Keeper
	now     int64
	lastBad int64
	asked   int
}

func newLife(t *testing.T) *life { return &life{t: t, keeper: Keeper{Policy: policy}, now: day} }

// bad steps one second of alarm with onset 5 s after midnight, in which v would be the verdict.
func (l *life) bad(v Verdict) *Incident {
	l.now += second
	l.lastBad = l.now
	return l.step(true, false, v)
}

func (l *life) badFor(seconds int, v Verdict) (last *Incident) {
	for range seconds {
		if in := l.bad(v); in != nil {
			last = in
		}
	}
	return last
}

func (l *life) well(silent bool) *Incident {
	l.now += second
	return l.step(false, silent, Verdict{})
}

// resolves returns the seconds of wellbeing that end the incident.
func (l *life) resolves(silent bool) (n int) {
	for n = 1; n < 10_000; n++ {
		if in := l.well(silent); in != nil {
			require.Equal(l.t, Resolved, in.State)
			return n
		}
	}
	return n
}

func (l *life) step(alarm, silent bool, v Verdict) *Incident {
	return one(l.t, l.keeper.Step(Observation{
		Now: l.now, Head: l.now + 3*second, Alarm: alarm, Onset: day + 5*second,
		Health: func(*Incident) (int64, bool) { return l.lastBad, silent },
		Verdicts: func(_ int64, open []string) []Verdict {
			if len(open) > 0 { // beside those of the open incidents there is no cause
				return nil
			}
			l.asked++
			return []Verdict{v}
		},
	}))
}

// one returns the only incident that changed, nil when none did.
func one(t require.TestingT, changed []Incident) *Incident {
	if len(changed) == 0 {
		return nil
	}
	require.Len(t, changed, 1)
	return &changed[0]
}

func TestOpensWhenTwoSecondsAgree(t *testing.T) {
	l := newLife(t)
	v := verdictOf("orders", .6)
	require.Nil(t, l.well(false))
	assert.Zero(t, l.asked, "no verdict without an alarm")
	require.Nil(t, l.bad(v))
	in := l.bad(v)
	require.NotNil(t, in)
	assert.Equal(t, &Incident{
		ID: in.ID, State: Opened, Delay: l.now + 3*second - (day + 5*second), Onset: day + 5*second, Detected: l.now,
		Seen: l.now + 3*second, Changed: l.now, Verdict: v, History: in.History,
	}, in)
	require.Len(t, l.keeper.Open(), 1)
	assert.Equal(t, in.ID, l.keeper.Open()[0].ID)
}

func TestOpensLater(t *testing.T) {
	unsure := verdictOf("orders", .3)
	for _, tt := range []struct {
		name string
		v    func(second int) Verdict
		root string
	}{
		{"no cause explains enough", func(int) Verdict { return unsure }, Unknown},
		{"nothing is known at all", func(int) Verdict { return Verdict{Root: Unknown, Kind: Unknown} }, Unknown},
		{"the cause changes all the time", func(s int) Verdict { return verdictOf([]string{"a", "b"}[s%2], .6) }, "a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLife(t)
			for s := range 10 { // patience is counted from the first second of alarm
				require.Nil(t, l.bad(tt.v(s)))
			}
			in := l.bad(tt.v(10))
			require.NotNil(t, in)
			assert.Equal(t, tt.root, in.Verdict.Root)
			assert.NotEmpty(t, in.Verdict.Summary)
			if tt.root == Unknown {
				assert.Equal(t, Unknown, in.Verdict.Kind)
				assert.NotContains(t, in.Verdict.Summary, "did it", "what is not known is not said")
				assert.Empty(t, in.Verdict.Path)
			}
		})
	}
	t.Run("sure in time", func(t *testing.T) {
		l := newLife(t)
		l.badFor(5, unsure)
		in := l.bad(verdictOf("orders", .5))
		require.NotNil(t, in, "the same cause as a second ago, and sure by now")
		assert.Equal(t, "orders", in.Verdict.Root)
	})
	t.Run("an alarm that stops is forgotten", func(t *testing.T) {
		l := newLife(t)
		l.badFor(10, unsure)
		l.well(false)
		require.Nil(t, l.badFor(10, unsure))
		require.NotNil(t, l.bad(unsure))
	})
}

func TestUpdates(t *testing.T) {
	opened := verdictOf("orders", .6, Ranked{"db", .3})
	news := opened
	news.Impacted = []string{"billing", "gateway"}
	reason := opened
	reason.Reason = "latency"
	instance := opened
	instance.Instance = "orders-1"
	version := opened
	version.Version = "v2"
	evidence := opened
	evidence.Evidence, evidence.Summary = []string{"more of the same"}, "the same in other words"
	for _, tt := range []struct {
		name string
		v    Verdict
		want bool
	}{
		{"nothing new", opened, false},
		{"other numbers only", evidence, false},
		{"a little surer", verdictOf("orders", .69), false},
		{"much surer", verdictOf("orders", .71), true},
		{"much less sure", verdictOf("orders", .45), true},
		{"more are hurt", news, true},
		{"another reason", reason, true},
		{"an instance", instance, true},
		{"a version", version, true},
		{"another cause that leads by the margin", verdictOf("db", .5, Ranked{"orders", .35}), true},
		{"by less", verdictOf("db", .5, Ranked{"orders", .36}), false},
		{"another cause that is not sure", verdictOf("db", .39), false},
		{"no cause any more", Verdict{Root: Unknown, Kind: Unknown}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLife(t)
			in := l.badFor(2, opened)
			require.NotNil(t, in)
			asked := l.asked
			for range 19 {
				require.Nil(t, l.bad(tt.v), "not before its time")
			}
			assert.Equal(t, asked, l.asked, "no work for nothing")
			got := l.badFor(5, tt.v) // it is looked at every five seconds
			if !tt.want {
				require.Nil(t, got)
				assert.Equal(t, opened, l.keeper.Open()[0].Verdict)
				return
			}
			require.NotNil(t, got)
			assert.Equal(t, Updated, got.State)
			assert.Equal(t, tt.v, got.Verdict)
			assert.Equal(t, [4]any{in.ID, in.Onset, in.Detected, got.Seen - 3*second}, [4]any{got.ID, got.Onset, got.Detected, got.Changed})
			for l.now+second < got.Changed+20*second {
				require.Nil(t, l.bad(news), "at most one in so long")
			}
		})
	}
	t.Run("what was unknown is found out", func(t *testing.T) {
		l := newLife(t)
		in := l.badFor(11, verdictOf("orders", .3))
		got := l.badFor(25, opened)
		require.NotNil(t, got)
		assert.Equal(t, [2]string{in.ID, "orders"}, [2]string{got.ID, got.Verdict.Root})
	})
	t.Run("no news while no gate is open", func(t *testing.T) {
		l := newLife(t)
		l.badFor(2, opened)
		asked := l.asked
		for range 29 {
			require.Nil(t, l.well(false))
		}
		assert.Equal(t, asked, l.asked)
	})
}

func TestResolves(t *testing.T) {
	v := verdictOf("orders", .6)
	t.Run("when all has been well for long enough", func(t *testing.T) {
		l := newLife(t)
		l.badFor(2, v)
		for range 20 {
			require.Nil(t, l.well(false))
		}
		l.bad(v)
		require.Equal(t, 30, l.resolves(false), "a relapse starts anew")
		assert.Empty(t, l.keeper.Open())
	})
	t.Run("an alarm that falls slowly does not keep it open", func(t *testing.T) {
		l := newLife(t)
		l.badFor(2, v)
		for s := 1; s < 30; s++ {
			l.now += second
			require.Nil(t, l.step(true, false, v))
		}
		l.now += second
		in := l.step(true, false, v)
		require.NotNil(t, in)
		assert.Equal(t, [2]int64{l.now, l.now}, [2]int64{in.Resolved, in.Changed})
	})
	t.Run("silence is no health, but does not last for ever", func(t *testing.T) {
		l := newLife(t)
		l.badFor(2, v)
		assert.Equal(t, 30*silence, l.resolves(true))
	})
	t.Run("not before it had time to be seen", func(t *testing.T) {
		l := newLife(t)
		l.badFor(1, v)
		l.lastBad = 0
		l.now += second
		require.NotNil(t, l.step(true, false, v))
		assert.Equal(t, 30, l.resolves(false))
	})
}

func TestReopens(t *testing.T) {
	v := verdictOf("orders", .6)
	for _, tt := range []struct {
		name  string
		pause int
		root  string
		same  bool
	}{
		{"soon", 10, "orders", true},
		{"at the last moment", 597, "orders", true}, // two seconds to open, one well
		{"too late", 700, "orders", false},
		{"another cause", 10, "db", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLife(t)
			first := l.badFor(2, v)
			l.resolves(false)
			ended := l.now
			for range tt.pause {
				require.Nil(t, l.well(false))
			}
			l.now += second
			observe := Observation{Now: l.now, Head: l.now, Alarm: true, Onset: l.now - second,
				Health:   func(*Incident) (int64, bool) { return l.now, false },
				Verdicts: func(int64, []string) []Verdict { return []Verdict{verdictOf(tt.root, .6)} }}
			require.Nil(t, l.keeper.Step(observe))
			l.now += second
			observe.Now = l.now
			again := one(t, l.keeper.Step(observe))
			require.NotNil(t, again)
			assert.Equal(t, Opened, again.State)
			assert.Zero(t, again.Resolved)
			if tt.same {
				assert.Equal(t, [2]any{first.ID, first.Onset}, [2]any{again.ID, again.Onset})
			} else {
				assert.NotEqual(t, first.ID, again.ID)
				assert.Greater(t, again.Onset, ended)
			}
		})
	}
}

func TestID(t *testing.T) {
	v := verdictOf("postgresql/Shop", .6)
	a := id(v, day+5*second)
	assert.Regexp(t, `^postgresql-shop-[0-9a-f]{4}$`, a)
	assert.Equal(t, a, id(v, day+55*second), "another replica sees the onset some seconds later")
	assert.NotEqual(t, a, id(v, day+65*second))
	database := v
	database.Kind = "database"
	assert.NotEqual(t, a, id(database, day+5*second))
	long := verdictOf("/"+string(make([]byte, 100))+"ä", .6)
	assert.Regexp(t, `^[a-z0-9-]{0,45}$`, id(long, day))
}

func TestRewind(t *testing.T) {
	l := newLife(t)
	l.badFor(2, verdictOf("orders", .6))
	l.now -= 1000 * second
	l.keeper.Rewind(l.now)
	l.lastBad = 0
	require.Len(t, l.keeper.Open(), 1)
	in := l.keeper.Open()[0]
	assert.LessOrEqual(t, max(in.Onset, in.Detected, in.Changed, in.LastBad), l.now)
	assert.Equal(t, 30, l.resolves(false), "it ends in the time that is true now")
	require.Nil(t, l.bad(verdictOf("orders", .6)))
	l.keeper.Rewind(l.now)
	require.Nil(t, l.bad(verdictOf("orders", .6)), "what was seen before says nothing")
}

func TestJSONFormIsStable(t *testing.T) {
	v := verdictOf("orders", .6)
	v.Instance, v.Cause, v.Evidence, v.Entries = "orders-1", "code_slow", []string{"a"}, []string{"gateway /order"}
	got, err := json.Marshal(Incident{ID: "x", State: Updated, Delay: 1, Onset: 2, Detected: 3, Seen: 4, Changed: 5, LastBad: 6, Verdict: v})
	require.NoError(t, err)
	assert.JSONEq(t, `{"id":"x","delay":1,"onset":2,"detected":3,"seen":4,"changed":5,"last_bad":6,"verdict":{"root":"orders","kind":"service",
		"reason":"errors","cause":"code_slow","instance":"orders-1","score":0.6,"path":["gateway","orders"],"candidates":[{"node":"orders","score":0.6}],
		"impacted":["gateway"],"entries":["gateway /order"],"propagation":null,"moves":null,"hurt":0,"evidence":["a"],"summary":"orders did it"}}`, string(got))
}

// Whatever comes: opened, updated any number of times, resolved, in this order; ids and onsets hold, and no two open
// incidents have one root.
func TestLifeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := Keeper{Policy: policy}
		k.Policy.ReopenWithin = 0 // and onsets a minute apart: every incident has an id of its own
		open := map[string]Incident{}
		now, lastBad := day, int64(0)
		roots := []string{"orders", "db", "mail", Unknown}
		for i := range int64(rapid.IntRange(1, 300).Draw(t, "seconds")) {
			now += second
			silent := rapid.Bool().Draw(t, "silent")
			o := Observation{
				Now: now, Head: now, Alarm: rapid.Bool().Draw(t, "alarm"), Onset: day + 60*(i-300)*second,
				Health: func(*Incident) (int64, bool) { return lastBad, silent },
				Verdicts: func(_ int64, open []string) (vs []Verdict) {
					for _, root := range rapid.Permutation(roots).Draw(t, "roots")[:rapid.IntRange(1, 3).Draw(t, "causes")] {
						vs = append(vs, verdictOf(root, rapid.Float64Range(0, 1).Draw(t, "score")))
					}
					return vs
				},
			}
			if o.Alarm && rapid.Bool().Draw(t, "bad") {
				lastBad = now
			}
			for _, in := range k.Step(o) {
				before, was := open[in.ID]
				switch in.State {
				case Opened:
					require.False(t, was)
					require.Zero(t, in.Resolved)
					require.NotEmpty(t, in.ID)
				case Updated:
					require.True(t, was)
					require.GreaterOrEqual(t, now-before.Changed, policy.UpdateEvery)
				case Resolved:
					require.True(t, was)
					require.GreaterOrEqual(t, now-lastBad, policy.ResolveAfter)
				}
				require.LessOrEqual(t, in.Onset, in.Changed)
				require.Equal(t, now, in.Changed)
				if open[in.ID] = in; in.State == Resolved {
					delete(open, in.ID)
				}
			}
			require.LessOrEqual(t, len(k.past), maxPast)
			held := map[string]bool{}
			for _, in := range k.Open() {
				require.Contains(t, open, in.ID)
				require.False(t, held[in.Verdict.Root], "two incidents of %s", in.Verdict.Root)
				held[in.Verdict.Root] = true
			}
			require.Len(t, k.Open(), len(open))
		}
	})
}
