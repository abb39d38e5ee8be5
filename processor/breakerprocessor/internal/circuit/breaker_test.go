// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const second = int64(1e9)

func testConfig() *Config {
	return &Config{
		Window: 10 * second, FailureRatio: 0.5, MinimumCalls: 5, Confidence: 3.09, FailureFloor: 0.25,
		FastWindow: 2 * second, FastRatio: 0.9, FastCalls: 20,
		LoadConfidence: 5, LoadCalls: 50, CloseRatio: 0.1, ProbeCalls: 10,
		OpenDuration: 5 * second, MaxOpenDuration: 300 * second,
	}
}

// calls makes the sums of n calls of which bad failed.
func calls(n, bad int) Sums {
	var s Sums
	for i := range n {
		one := One(i < bad, false, 1, 0)
		s.Add(&one)
	}
	return s
}

// Each state under each kind of evidence: where it goes, and why. Time is 100 s; the state began at 0.
func TestTransitions(t *testing.T) {
	const now = 100 * second
	window := func(n, bad int) Recent { return Recent{Window: calls(n, bad)} }
	fast := func(n, bad int) Recent { return Recent{Window: calls(n, bad), Fast: calls(n, bad)} }
	begin := map[State]func() state{
		Closed:   func() state { return &closed{warm: math.MinInt64, since: math.MinInt64, fence: math.MinInt64} },
		Open:     func() state { return &open{until: 50 * second} },
		HalfOpen: func() state { return &halfOpen{} },
	}
	// hanging: few of the calls fail, but these take ten times as long as all the others.
	hanging := func(n, bad int) Sums {
		s := calls(n, bad)
		s.Busy, s.BadBusy = int64(n)*11, int64(n)*10
		return s
	}
	tests := map[string]struct {
		state  func() state
		recent Recent
		seen   Sums // by a half-open breaker, since 0
		want   State
		reason Reason
	}{
		"closed, silence":                       {begin[Closed], Recent{}, Sums{}, Closed, NoReason},
		"closed, all well":                      {begin[Closed], fast(1000, 0), Sums{}, Closed, NoReason},
		"closed, below the ratio":               {begin[Closed], window(1000, 499), Sums{}, Closed, NoReason},
		"closed, exactly the ratio":             {begin[Closed], window(1000, 500), Sums{}, Open, FailureRate},
		"closed, too few":                       {begin[Closed], window(4, 4), Sums{}, Closed, NoReason},
		"closed, few but all":                   {begin[Closed], window(5, 5), Sums{}, Open, FailureRate},
		"closed, few and not certain":           {begin[Closed], window(6, 3), Sums{}, Closed, NoReason},
		"closed, 7 of 10":                       {begin[Closed], window(10, 7), Sums{}, Open, FailureRate},
		"closed, 6 of 10: not certain":          {begin[Closed], window(10, 6), Sums{}, Closed, NoReason},
		"closed, fast":                          {begin[Closed], Recent{Window: calls(1000, 18), Fast: calls(20, 18)}, Sums{}, Open, FastFailureRate},
		"closed, fast: too few":                 {begin[Closed], Recent{Window: calls(1000, 19), Fast: calls(19, 19)}, Sums{}, Closed, NoReason},
		"closed, fast: below its ratio":         {begin[Closed], Recent{Window: calls(1000, 17), Fast: calls(20, 17)}, Sums{}, Closed, NoReason},
		"closed, warming":                       {func() state { return &closed{warm: now + 1} }, fast(1000, 1000), Sums{}, Closed, NoReason},
		"closed, warm":                          {func() state { return &closed{warm: now} }, fast(1000, 1000), Sums{}, Open, FastFailureRate},
		"closed, a quarter hangs":               {begin[Closed], Recent{Window: hanging(200, 50)}, Sums{}, Open, FailureLoad},
		"closed, a quarter hangs of late":       {begin[Closed], Recent{Window: calls(9000, 50), Fast: hanging(200, 50)}, Sums{}, Open, FailureLoad},
		"closed, a tenth hangs":                 {begin[Closed], Recent{Window: hanging(200, 20)}, Sums{}, Closed, NoReason},
		"closed, a third hangs, of few":         {begin[Closed], Recent{Window: hanging(49, 16)}, Sums{}, Closed, NoReason},
		"closed, a quarter fails, none hangs":   {begin[Closed], Recent{Window: calls(200, 50)}, Sums{}, Closed, NoReason},
		"half_open, a quarter hangs":            {begin[HalfOpen], Recent{}, hanging(200, 50), Open, StillFailing},
		"open, its time is not over":            {func() state { return &open{until: now + 1} }, fast(1000, 0), Sums{}, Open, NoReason},
		"open, its time is over":                {func() state { return &open{until: now} }, fast(1000, 1000), Sums{}, HalfOpen, OpenElapsed},
		"open, over, silence":                   {begin[Open], Recent{}, Sums{}, HalfOpen, OpenElapsed},
		"open, over, all well":                  {begin[Open], fast(1000, 0), Sums{}, HalfOpen, OpenElapsed},
		"half_open, silence":                    {begin[HalfOpen], Recent{}, Sums{}, HalfOpen, NoReason},
		"half_open, only stale calls are bad":   {begin[HalfOpen], fast(1000, 1000), Sums{}, HalfOpen, NoReason},
		"half_open, too few good":               {begin[HalfOpen], Recent{}, calls(9, 0), HalfOpen, NoReason},
		"half_open, too few bad":                {begin[HalfOpen], Recent{}, calls(9, 9), HalfOpen, NoReason},
		"half_open, enough good":                {begin[HalfOpen], Recent{}, calls(10, 0), Closed, Recovered},
		"half_open, just below the close ratio": {begin[HalfOpen], Recent{}, calls(1000, 99), Closed, Recovered},
		"half_open, exactly the close ratio":    {begin[HalfOpen], Recent{}, calls(1000, 100), HalfOpen, NoReason},
		"half_open, between the ratios":         {begin[HalfOpen], Recent{}, calls(1000, 499), HalfOpen, NoReason},
		"half_open, the open ratio":             {begin[HalfOpen], Recent{}, calls(10, 5), Open, StillFailing},
		"half_open, good, but not for a window": {func() state { return &halfOpen{round: now - 10*second + 1} }, Recent{}, calls(1000, 0), HalfOpen, NoReason},
		"half_open, good, for just a window":    {func() state { return &halfOpen{round: now - 10*second} }, Recent{}, calls(1000, 0), Closed, Recovered},
		"half_open, bad: at once, not a window": {func() state { return &halfOpen{round: now - 1} }, Recent{}, calls(10, 10), Open, StillFailing},
	}
	seen := map[[2]State]bool{}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := Breaker{cfg: testConfig(), state: tt.state()}
			from := b.State()
			if tt.seen.Calls > 0 {
				b.Call(0, tt.seen)
			}
			got, changed := b.Step(now, &tt.recent)
			assert.Equal(t, tt.want, b.State())
			assert.Equal(t, tt.want != from, changed)
			seen[[2]State{from, tt.want}] = true
			if changed {
				assert.Equal(t, from, got.From)
				assert.Equal(t, tt.want, got.To)
				assert.Equal(t, now, got.At)
				assert.Equal(t, tt.want == Open, got.Until > now)
			}
			assert.Equal(t, tt.reason, got.Reason)
		})
	}
	for from := range State(NumStates) {
		for to := range State(NumStates) {
			impossible := from == Closed && to == HalfOpen || from == Open && to == Closed
			assert.Equal(t, !impossible, seen[[2]State{from, to}], "%v -> %v", from, to)
		}
	}
}

// H10: three spans that stand for twelve calls are three observations; the ratio goes by the twelve.
func TestWeights(t *testing.T) {
	var s Sums
	for range 3 {
		one := One(true, true, 4, 0)
		s.Add(&one)
	}
	assert.Equal(t, Sums{Calls: 3, Bad: 3, Throttled: 3, Weight: 12 * weightUnit, BadWeight: 12 * weightUnit}, s)
	b := New(testConfig(), 1, 0)
	_, changed := b.Step(0, &Recent{Window: s})
	assert.False(t, changed)

	good, bad := One(false, false, 1, 0), One(true, false, 100, 0)
	var mixed Sums
	for range 10 {
		mixed.Add(&good)
		mixed.Add(&bad)
	}
	assert.InDelta(t, 1000.0/1010, mixed.Ratio(), 1e-12)
	for _, odd := range []float64{0, -5, 0.5, math.NaN(), math.Inf(-1)} {
		assert.Equal(t, One(true, false, 1, 0), One(true, false, odd, 0), "weight %v", odd)
	}
	huge := One(true, false, math.Inf(1), 0)
	for range 100 {
		huge.Add(&huge)
	}
	assert.Equal(t, Sums{Calls: math.MaxUint32, Bad: math.MaxUint32, Weight: math.MaxInt64, BadWeight: math.MaxInt64}, huge)
	assert.Equal(t, 1.0, huge.Ratio())
}

func TestBusy(t *testing.T) {
	var s Sums
	assert.Zero(t, s.BusyRatio())
	for _, one := range []Sums{One(false, false, 1, 30), One(true, false, 1, 90), One(true, false, 1, -5)} {
		s.Add(&one)
	}
	assert.Equal(t, Sums{Calls: 3, Bad: 2, Weight: 3 * weightUnit, BadWeight: 2 * weightUnit, Busy: 120, BadBusy: 90}, s)
	assert.Equal(t, 0.75, s.BusyRatio())
	assert.Equal(t, maxBusy, One(true, false, 1, math.MaxInt64).BadBusy)
}

func TestWilson(t *testing.T) {
	// From the closed form, by hand: 5 of 5 at z = 3.09 is 1 / (1 + 9.5481/5).
	assert.InDelta(t, 0.3437, wilson(1, 5, 3.09), 1e-4)
	assert.InDelta(t, 0.2490, wilson(0.7, 10, 3.09), 2e-2)
	assert.InDelta(t, 0.4514, wilson(0.5, 1000, 3.09), 1e-3)
	assert.Zero(t, wilson(1, 0, 3.09))
	assert.InDelta(t, 0, wilson(0, 50, 3.09), 1e-12)
}

// observed is a breaker with the calls of its window.
type observed struct {
	Breaker
	last []lastCall
}

type lastCall struct {
	at  int64
	one Sums
}

func newObserved(warm int64) *observed { return &observed{Breaker: New(testConfig(), 7, warm)} }

// drive feeds one call each 100 ms, of the given badness (nil: no calls), and steps each 250 ms.
func (o *observed) drive(from, to int64, bad func(at int64) bool) (out []Transition) {
	for at := from; at < to; at += second / 20 {
		if bad != nil && at%(second/10) == 0 {
			if one := One(bad(at), false, 1, 0); o.Call(at, one) {
				o.last = append(o.last, lastCall{at, one})
			}
		}
		if at%(second/4) == 0 {
			var r Recent
			for _, l := range o.last {
				if l.at >= at-o.cfg.Window {
					r.Window.Add(&l.one)
				}
				if l.at >= at-o.cfg.FastWindow {
					r.Fast.Add(&l.one)
				}
			}
			if t, ok := o.Step(at, &r); ok {
				out = append(out, t)
			}
		}
	}
	return out
}

func states(ts []Transition) (out []State) {
	for _, t := range ts {
		out = append(out, t.To)
	}
	return out
}

func TestOutageAndRecovery(t *testing.T) {
	b := newObserved(10 * second)
	require.Empty(t, b.drive(0, 60*second, func(int64) bool { return false }))
	ts := b.drive(60*second, 75*second, func(int64) bool { return true })
	require.Equal(t, []State{Open, HalfOpen, Open}, states(ts))
	assert.LessOrEqual(t, ts[0].At, 62*second, "fast")
	assert.Equal(t, 5*second, ts[0].Until-ts[0].At)
	assert.EqualValues(t, 1, ts[2].Attempt)
	assert.Equal(t, 10*second, ts[2].Until-ts[2].At, "twice as long")
	ts = b.drive(75*second, 100*second, func(int64) bool { return false })
	require.Equal(t, []State{HalfOpen, Closed}, states(ts))
	assert.Equal(t, b.cfg.Window, ts[1].At-ts[0].At, "after a window of verification")
	require.Empty(t, b.drive(100*second, 200*second, func(int64) bool { return false }))
	ts = b.drive(200*second, 204*second, func(int64) bool { return true })
	require.Equal(t, []State{Open}, states(ts))
	assert.Zero(t, ts[0].Attempt, "trusted again")
}

func TestAttemptIsPaidBackByTheWindow(t *testing.T) {
	cfg := testConfig()
	for calm, want := range map[int64]uint8{0: 4, 9: 4, 10: 3, 25: 2, 40: 0, 4000: 0} {
		c := closed{since: 1000 * second, attempt: 3}
		assert.Equal(t, want, c.next((1000+calm)*second, cfg.Window), "after %d s", calm)
	}
	c := closed{since: 0, attempt: math.MaxUint8}
	assert.EqualValues(t, math.MaxUint8, c.next(0, cfg.Window))
}

// A callee that fails every other 5 s: opened once, and not trusted in its good moments.
func TestNoFlapping(t *testing.T) {
	b := newObserved(0)
	ts := b.drive(0, 120*second, func(at int64) bool { return at/(5*second)%2 == 1 })
	for _, tr := range ts {
		assert.NotEqual(t, Closed, tr.To)
	}
	assert.Less(t, len(ts), 12)
}

// Calls that started before the open period was over tell of the past, whenever they end.
func TestStaleCallsAreFenced(t *testing.T) {
	b := newObserved(0)
	ts := b.drive(0, 6*second, func(int64) bool { return true })
	require.Equal(t, []State{Open, HalfOpen}, states(ts))
	since := ts[1].At
	stale, before := calls(100, 100), b.Verified()
	assert.False(t, b.Call(since-1, stale))
	assert.Equal(t, before, b.Verified())
	one := calls(1, 0)
	assert.True(t, b.Call(since, one))
	assert.Equal(t, before.Calls+1, b.Verified().Calls)
	ts = b.drive(6*second, 30*second, func(int64) bool { return false })
	require.Equal(t, []State{Closed}, states(ts))
	assert.False(t, b.Call(since-1, stale), "nor do they count once it has closed")
	assert.True(t, b.Call(since, stale))
	assert.Zero(t, b.Verified())
}

// Half well is not well: each window is verified for itself, so that the first good one closes.
func TestVerificationStartsAnewEachWindow(t *testing.T) {
	b := newObserved(0)
	ts := b.drive(0, 26*second, func(at int64) bool { return at < 5*second || at/(second/10)%10 < 3 })
	require.Equal(t, []State{Open, HalfOpen}, states(ts), "30 % bad: neither closes nor reopens")
	ts = b.drive(26*second, 46*second, func(int64) bool { return false })
	require.Equal(t, []State{Closed}, states(ts))
	assert.LessOrEqual(t, ts[0].Evidence.Calls, uint32(101))
}

func TestSilenceNeverCloses(t *testing.T) {
	b := newObserved(0)
	b.drive(0, 4*second, func(int64) bool { return true })
	ts := b.drive(4*second, 4000*second, nil)
	assert.Equal(t, []State{HalfOpen}, states(ts))
}

func TestForget(t *testing.T) {
	b := newObserved(0)
	_, changed := b.Forget(0)
	assert.False(t, changed, "there is nothing to forget")
	b.drive(0, 6*second, func(int64) bool { return true })
	tr, changed := b.Forget(900 * second)
	assert.True(t, changed)
	assert.Equal(t, Transition{From: HalfOpen, To: Closed, Reason: Forgotten, At: 900 * second}, tr)
	ts := b.drive(900*second, 904*second, func(int64) bool { return true })
	require.Equal(t, []State{Open}, states(ts))
	assert.Zero(t, ts[0].Attempt)
}

func TestMove(t *testing.T) {
	const back = -3600 * second
	b := newObserved(10 * second)
	b.Move(back)
	ts := b.drive(back, back+20*second, func(int64) bool { return true })
	require.NotEmpty(t, ts)
	assert.Equal(t, back+10*second, ts[0].At, "warm as long after as before")
	b.Move(-back)
	ts = b.drive(20*second, 80*second, func(int64) bool { return false })
	assert.Equal(t, Closed, b.State(), "and not stuck for an hour: %v", ts)
	b.Move(back)
	one := calls(1, 1)
	assert.True(t, b.Call(80*second+back, one))
}

func TestOpenTime(t *testing.T) {
	cfg := testConfig()
	b := New(cfg, 7, 0)
	for attempt, want := range []int64{5, 10, 20, 40, 80, 160, 300, 300} {
		assert.Equal(t, want*second, b.openTime(uint8(attempt)))
	}
	assert.Equal(t, 300*second, b.openTime(math.MaxUint8))
	cfg.Jitter = 0.2
	distinct := map[int64]bool{}
	for seed := range uint64(1000) {
		b := New(cfg, seed, 0)
		d := b.openTime(1)
		assert.Equal(t, d, b.openTime(1), "the same whenever it is asked")
		assert.GreaterOrEqual(t, d, 8*second)
		assert.LessOrEqual(t, d, 12*second)
		assert.LessOrEqual(t, b.openTime(20), 300*second, "the cap holds for the jitter too")
		distinct[d] = true
	}
	assert.Greater(t, len(distinct), 990)
	cfg.OpenDuration, cfg.MaxOpenDuration = math.MaxInt64/2, math.MaxInt64/2
	assert.Positive(t, b.openTime(5))
}

// Whatever is fed: transitions follow the diagram, one a step, and a replay gives the same.
func TestBreakerInvariants(t *testing.T) {
	type feed struct {
		dt, age int64
		n, bad  int
	}
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) feed {
			n := rapid.IntRange(0, 40).Draw(t, "n")
			return feed{
				dt:  rapid.Int64Range(0, 8*second).Draw(t, "dt"),
				age: rapid.Int64Range(0, 12*second).Draw(t, "age"),
				n:   n, bad: rapid.IntRange(0, n).Draw(t, "bad"),
			}
		}), 1, 120).Draw(t, "feed")
		warm := rapid.Int64Range(0, 60*second).Draw(t, "warm")
		cfg := testConfig()
		cfg.Jitter = 0.2
		run := func() (out []Transition) {
			b := New(cfg, 3, warm)
			now := int64(0)
			for _, f := range in {
				now += f.dt
				s := calls(f.n, f.bad)
				b.Call(now-f.age, s)
				before := b.State()
				tr, changed := b.Step(now, &Recent{Window: s, Fast: s})
				require.Equal(t, changed, before != b.State())
				if changed {
					require.Equal(t, before, tr.From)
					require.Equal(t, b.State(), tr.To)
					require.GreaterOrEqual(t, tr.At, warm, "mute while warming")
					out = append(out, tr)
				}
			}
			return out
		}
		ts := run()
		for i, tr := range ts {
			require.False(t, tr.From == Closed && tr.To == HalfOpen || tr.From == Open && tr.To == Closed)
			if tr.From == Open {
				require.GreaterOrEqual(t, tr.At, ts[i-1].Until)
			}
			if tr.To == Closed {
				require.GreaterOrEqual(t, tr.Evidence.Calls, cfg.ProbeCalls)
			}
		}
		require.Equal(t, ts, run())
	})
}

func TestNames(t *testing.T) {
	assert.Equal(t, "closed open half_open", Closed.String()+" "+Open.String()+" "+HalfOpen.String())
	assert.Equal(t, "forced_open disabled metrics_only", ForcedOpen.String()+" "+Disabled.String()+" "+MetricsOnly.String())
	for r := FailureRate; r <= Manual; r++ {
		assert.NotEmpty(t, r.String())
	}
}

func BenchmarkStepClosed(b *testing.B) {
	br := New(testConfig(), 1, 0)
	r := Recent{Window: calls(1000, 100), Fast: calls(200, 20)}
	b.ReportAllocs()
	for i := range int64(b.N) {
		br.Step(i, &r)
	}
}
