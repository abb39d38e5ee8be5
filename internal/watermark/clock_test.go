// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package watermark

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const (
	ms      = int64(1e6)
	minute  = 60 * second
	hour    = 60 * minute
	allowed = 10 * second
	start   = 1_700_000_000 * second
)

// seen is one span as the clock sees it.
type seen struct {
	end    int64
	source uint64
}

// steady makes spans of several sources, in order, gap apart, for the given time.
func steady(from, lasting, gap int64, sources uint64) []seen {
	var out []seen
	for at := from; at < from+lasting; at += gap {
		out = append(out, seen{at, uint64(len(out)) % sources})
	}
	return out
}

func feed(c *Clock, spans []seen) (placed [4]int) {
	for _, s := range spans {
		_, p := c.Observe(s.end, s.source)
		placed[p]++
	}
	return placed
}

func TestOrderlyStream(t *testing.T) {
	c := NewClock(allowed)
	assert.Equal(t, allowed, c.Wait(), "cautious at first")
	assert.Equal(t, [4]int{OnTime: 6000}, feed(c, steady(start, minute, 10*ms, 3)))
	assert.Equal(t, start+minute-10*ms, c.Head())
	assert.Equal(t, minWait, c.Wait(), "then as short as the stream allows")
	assert.Equal(t, c.Head()-minWait, c.Mark())
}

func TestPlacement(t *testing.T) {
	tests := map[string]struct {
		end  int64 // beyond the head
		want Placement
		at   int64 // beyond the head
	}{
		"now":                       {0, OnTime, 0},
		"a step ahead":              {maxStep, OnTime, maxStep},
		"a little late":             {-minWait, OnTime, -minWait},
		"too far ahead":             {maxStep + 1, Future, 0},
		"a day ahead":               {24 * hour, Future, 0},
		"the end of time":           {math.MaxInt64, Future, 0},
		"too late":                  {-allowed - maxStep - second, Late, -allowed - maxStep - second},
		"before the mark, in reach": {-12 * second, Late, -12 * second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := NewClock(allowed)
			feed(c, steady(start, minute, 10*ms, 3))
			head := c.Head()
			end := tt.end
			if end != math.MaxInt64 {
				end += head
			}
			at, p := c.Observe(end, 1)
			assert.Equal(t, tt.want, p)
			assert.Equal(t, tt.at, at-head)
			assert.Equal(t, max(0, tt.at), c.Head()-head)
		})
	}
}

// One bad clock among others: no single span, and no whole export of one host, moves the head.
func TestStrangersDoNotMoveTheHead(t *testing.T) {
	for name, off := range map[string]int64{"an hour ahead": hour, "a minute ahead": minute, "an hour behind": -hour} {
		t.Run(name, func(t *testing.T) {
			c := NewClock(allowed)
			in := steady(start, 5*minute, 10*ms, 3)
			for i, s := range in {
				if _, p := c.Observe(s.end, s.source); !assert.Equal(t, OnTime, p, "span %d", i) {
					return
				}
				if i%500 != 499 {
					continue
				}
				for k := range int64(512) { // one export of the fourth source, five seconds long
					_, p := c.Observe(s.end+off-5*second+k*10*ms, 77)
					if off > 0 {
						assert.Equal(t, Future, p)
					} else if p == Rebased {
						t.Fatalf("the past of one host was believed after span %d", i)
					}
				}
			}
			assert.Equal(t, in[len(in)-1].end, c.Head())
		})
	}
}

func TestAgreeingStrangersMoveTheHead(t *testing.T) {
	tests := map[string]struct {
		off     int64
		sources uint64
		known   uint64 // sources heard before
		within  int    // spans until believed
	}{
		"forward, two sources":                   {hour, 2, 3, believeShort},
		"forward, the only source":               {hour, 1, 1, believeRun},
		"back, two sources":                      {-hour, 2, 3, 6000},
		"back, one source":                       {-hour, 1, 1, 6000},
		"forward, one of many, others fell mute": {hour, 1, 3, believeAlone},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := NewClock(allowed)
			feed(c, steady(start, minute, 10*ms, tt.known))
			strangers := steady(c.Head()+tt.off, 70*second, 10*ms, tt.sources)
			for i, s := range strangers {
				if at, p := c.Observe(s.end, s.source); p == Rebased {
					assert.LessOrEqual(t, i+1, tt.within)
					assert.LessOrEqual(t, at, c.Head())
					assert.InDelta(t, s.end, c.Head(), float64(maxStep))
					assert.Equal(t, allowed, c.Wait(), "what was learned of the old stream is void")
					rest := feed(c, strangers[i+1:])
					assert.Equal(t, len(strangers)-i-1, rest[OnTime], "and the stream goes on there")
					return
				}
			}
			t.Fatal("never believed")
		})
	}
}

// The very first span is mad: what follows outnumbers it at once.
func TestMadFirstSpan(t *testing.T) {
	for name, off := range map[string]int64{"years ahead": 24 * 365 * hour, "years behind": -24 * 365 * hour} {
		t.Run(name, func(t *testing.T) {
			c := NewClock(allowed)
			c.Observe(start+off, 9)
			in := steady(start, minute, 10*ms, 3)
			feed(c, in[:believeRun])
			assert.Equal(t, in[believeRun-1].end, c.Head())
		})
	}
}

// One mad span among believed strangers must not drag the head along.
func TestMadSpanInABelievedRun(t *testing.T) {
	for mad := range 5 {
		c := NewClock(allowed)
		feed(c, steady(start, minute, 10*ms, 3))
		head := c.Head()
		for i := range int64(5) {
			end := head + 30*second + i*second
			if int(i) == mad {
				end = head + 50*minute
			}
			c.Observe(end, uint64(i)%2)
		}
		assert.LessOrEqual(t, c.Head(), head+34*second, "mad span at %d", mad)
		assert.GreaterOrEqual(t, c.Head(), head+30*second, "mad span at %d", mad)
	}
}

// Few calls, long gaps: the head must follow all the same, and soon without a delay.
func TestLowTraffic(t *testing.T) {
	for name, tt := range map[string]struct {
		gap   int64
		burst int
		names uint64
	}{
		"a span every 8 s":                    {8 * second, 1, 1},
		"a span every 30 s":                   {30 * second, 1, 1},
		"a span every 4 min":                  {4 * minute, 1, 1},
		"a trace of two services every 30 s":  {30 * second, 5, 2},
		"a trace of two services every 4 min": {4 * minute, 5, 2},
		"spans of five services every 20 s":   {20 * second, 1, 5},
	} {
		t.Run(name, func(t *testing.T) {
			c := NewClock(allowed)
			future, n := 0, 0
			for i := range int64(100) {
				for k := range tt.burst {
					end := start + i*tt.gap + int64(k)*ms
					at, p := c.Observe(end, uint64(n)%tt.names)
					n++
					if p == Future {
						future++
					} else {
						require.Equal(t, end, at)
					}
				}
			}
			assert.Less(t, future, believeShort, "only until the gap is understood")
			assert.Equal(t, start+99*tt.gap+int64(tt.burst-1)*ms, c.Head())
		})
	}
}

func TestReachShrinksWhenTrafficIsDenseAgain(t *testing.T) {
	c := NewClock(allowed)
	for i := range int64(10) {
		c.Observe(start+i*minute, 1)
	}
	feed(c, steady(c.Head(), 15*minute, 100*ms, 2))
	head := c.Head()
	_, p := c.Observe(head+30*second, 1)
	assert.Equal(t, Future, p)
	assert.Equal(t, head, c.Head())
}

func TestIdle(t *testing.T) {
	c := NewClock(allowed)
	c.Idle()
	assert.Zero(t, c.Mark(), "nothing before the first span")
	feed(c, steady(start, second, 10*ms, 1))
	c.Idle()
	assert.Greater(t, c.Mark(), c.Head(), "all there is has been seen")
	_, p := c.Observe(c.Head(), 1)
	assert.Equal(t, Late, p)
	_, p = c.Observe(c.Head()+second, 1)
	assert.Equal(t, OnTime, p, "and it goes on")
}

// Spans that come up to 5 s late, from the start or after a minute in good order.
func TestShuffledStream(t *testing.T) {
	shuffle := func(in []seen) []seen {
		var out []seen
		for i := range in { // a stride through blocks of 5 s: reproducible, and each block fully mixed
			block, k := i/500*500, i%500
			out = append(out, in[block+k*211%500])
		}
		return out
	}
	in := steady(start, 3*minute, 10*ms, 3)

	always := NewClock(allowed)
	assert.Equal(t, [4]int{OnTime: len(in)}, feed(always, shuffle(in)), "nothing is lost when it was never orderly")
	assert.Greater(t, always.Wait(), 5*second)
	assert.LessOrEqual(t, always.Wait(), allowed)

	c := NewClock(allowed)
	feed(c, in[:6000])
	require.Equal(t, minWait, c.Wait())
	first := feed(c, shuffle(in[6000:7000]))
	assert.Less(t, first[Late], 250, "the first five seconds cost half of their spans at most")
	assert.Greater(t, c.Wait(), 5*second, "the wait has grown to cover it")
	assert.Equal(t, [4]int{OnTime: 11000}, feed(c, shuffle(in[7000:])), "and then nothing is lost")

	after := steady(start+3*minute, 2*minute, 10*ms, 3)
	feed(c, after)
	assert.Equal(t, minWait, c.Wait(), "disorder of more than a minute ago is forgotten")
}

func anySpans(t *rapid.T) []seen {
	at := start
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) seen {
		switch rapid.IntRange(0, 19).Draw(t, "kind") {
		case 0:
			at += rapid.Int64Range(-2*hour, 2*hour).Draw(t, "jump")
		case 1:
			return seen{rapid.Int64().Draw(t, "mad"), rapid.Uint64Range(0, 3).Draw(t, "source")}
		}
		at += rapid.Int64Range(0, second).Draw(t, "step")
		return seen{at - rapid.Int64Range(0, 7*second).Draw(t, "lag"), rapid.Uint64Range(0, 3).Draw(t, "source")}
	}), 1, 300).Draw(t, "spans")
}

// Whatever comes: mark and head never move back but on Rebased, nothing counts beyond the head, and
// the wait stays within what is allowed.
func TestClockInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkClock(t, anySpans(t)) })
}

func checkClock(t require.TestingT, spans []seen) {
	c := NewClock(allowed)
	for i, s := range spans {
		head, mark := c.Head(), c.Mark()
		at, p := c.Observe(s.end, s.source)
		require.LessOrEqual(t, at, c.Head())
		require.LessOrEqual(t, c.Mark(), c.Head())
		require.LessOrEqual(t, c.Wait(), allowed)
		require.GreaterOrEqual(t, c.Wait(), minWait)
		if i == 0 || p == Rebased {
			continue
		}
		require.GreaterOrEqual(t, c.Head(), head)
		require.GreaterOrEqual(t, c.Mark(), mark)
		require.LessOrEqual(t, c.Head()-head, maxReach)
		switch p {
		case OnTime:
			require.GreaterOrEqual(t, at, c.Mark())
			require.Equal(t, min(max(s.end, -timeLimit), timeLimit), at)
		case Future:
			require.Equal(t, head, at)
			require.Equal(t, head, c.Head())
		}
	}
}

// A clock is a function of the order of spans alone: it has no batches, so their cuts cannot matter. What
// could break it is state outside the Clock.
func TestTwoClocksAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spans := anySpans(t)
		a, b := NewClock(allowed), NewClock(allowed)
		for _, s := range spans {
			at, p := a.Observe(s.end, s.source)
			bt, q := b.Observe(s.end, s.source)
			require.Equal(t, at, bt)
			require.Equal(t, p, q)
		}
		require.Equal(t, a, b)
	})
}

func FuzzClock(f *testing.F) {
	f.Add(int64(0), int64(1), int64(math.MaxInt64), uint64(1))
	f.Add(int64(math.MinInt64), int64(-1), int64(5), uint64(3))
	f.Fuzz(func(t *testing.T, a, b, c int64, sources uint64) {
		var spans []seen
		for i := range int64(40) {
			spans = append(spans, seen{a + i*ms, uint64(i) % (sources%4 + 1)}, seen{b - i*second, 1})
		}
		for i := range int64(300) {
			spans = append(spans, seen{c + i*b%minute, uint64(i) % (sources%4 + 1)})
		}
		checkClock(t, spans)
	})
}

func BenchmarkClock(b *testing.B) {
	c := NewClock(allowed)
	b.ReportAllocs()
	for i := range int64(b.N) {
		c.Observe(start+i*ms-i%7*100*ms, uint64(i)%4)
	}
}

// What lies before a time that another clock has come to is late, and nothing else changes.
func TestReach(t *testing.T) {
	for name, from := range map[string]int64{"ahead": start - 20*second, "behind": start + 20*second} {
		t.Run(name, func(t *testing.T) {
			c := NewClock(allowed)
			feed(c, steady(from, minute, 10*ms, 3))
			head, wait := c.Head(), c.Wait()
			c.Reach(start + minute)
			assert.Equal(t, max(head, start+minute), c.Head())
			assert.Equal(t, c.Head()+1, c.Mark())
			assert.Equal(t, wait, c.Wait())
			_, p := c.Observe(c.Head()-ms, 1)
			assert.Equal(t, Late, p)
			_, p = c.Observe(c.Head()+ms, 1)
			assert.Equal(t, OnTime, p)
		})
	}
	c := NewClock(allowed)
	c.Reach(start)
	assert.Equal(t, []int64{start, start + 1}, []int64{c.Head(), c.Mark()})
}
