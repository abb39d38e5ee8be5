// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

const second = int64(1e9)

func testConfig() *Config {
	return &Config{
		Window: 10 * second, FailureRatio: 0.5, MinimumCalls: 5, Confidence: 3.09, FailureFloor: 0.25,
		FastWindow: 2 * second, FastRatio: 0.9, FastCalls: 20, BaselineFactor: 3, BaselineCap: 0.9,
		LoadConfidence: 5, LoadCalls: 50, CloseRatio: 0.1, ProbeCalls: 10,
		OpenDuration: 5 * second, MaxOpenDuration: 300 * second, Ramp: []float64{0.01, 0.1, 0.5, 1},
	}
}

// calls makes the sums of n calls of which bad failed.
func calls(n, bad int) Sums {
	return Sums{Calls: uint32(n), Bad: uint32(bad), Weight: int64(n) * weightUnit, BadWeight: int64(bad) * weightUnit}
}

// with is s, but so many of the failures are pending, so many further calls failed deeper, so many of all were slow.
func with(s Sums, pending, deeper, slow int) Sums {
	s.Pending, s.Deeper, s.Slow = uint32(pending), uint32(deeper), uint32(slow)
	return s
}

// hanging is n calls of which few fail, but these take ten times as long as all the others.
func hanging(n, bad int) Sums {
	s := calls(n, bad)
	s.Busy, s.BadBusy = int64(n)*11, int64(n)*10
	return s
}

// world is a breaker with the calls of its edge: ten a second, of callers that may obey.
type world struct {
	Breaker
	obey   bool
	credit float64
	last   []lastCall
	// seen is how often a call came to be judged.
	seen int
}

type lastCall struct {
	at  int64
	one Sums
}

func newWorld(warm int64) *world { return &world{Breaker: New(testConfig(), 7, warm)} }

// drive feeds one call each 100 ms, of the given badness (nil: no calls), and steps each 250 ms.
func (w *world) drive(from, to int64, bad func(at int64) bool) (out []Transition) {
	for at := from; at < to; at += second / 20 {
		if bad != nil && at%(second/10) == 0 && w.admitted() {
			if one := One(bad(at), false, 1, 0); w.Call(at, one) {
				w.seen++
				w.last = append(w.last, lastCall{at, one})
			}
		}
		if at%(second/4) == 0 {
			if t, ok := w.step(at); ok {
				out = append(out, t)
			}
		}
	}
	return out
}

func (w *world) step(at int64) (Transition, bool) {
	r := Recent{Expected: 10}
	kept := w.last[:0]
	for _, l := range w.last {
		if l.at >= at-w.cfg.Window {
			r.Window.Add(&l.one)
			kept = append(kept, l)
		}
		if l.at >= at-w.cfg.FastWindow {
			r.Fast.Add(&l.one)
		}
	}
	w.last = kept
	return w.Step(at, &r)
}

func (w *world) admitted() bool {
	if !w.obey {
		return true
	}
	if w.credit += w.Admit(); w.credit >= 1-1e-9 {
		w.credit--
		return true
	}
	return false
}

func always(bad bool) func(int64) bool { return func(int64) bool { return bad } }

func states(ts []Transition) (out []State) {
	for _, t := range ts {
		out = append(out, t.To)
	}
	return out
}

// opened is a world whose breaker has opened, and when.
func opened(t *testing.T, obey bool) (*world, int64) {
	w := newWorld(0)
	w.obey = obey
	require.Empty(t, w.drive(0, 60*second, always(false)))
	for at := 60 * second; at < 80*second; at += second / 4 {
		if ts := w.drive(at, at+second/4, always(true)); len(ts) > 0 {
			require.Equal(t, []State{Open}, states(ts))
			return w, ts[0].At
		}
	}
	t.Fatal("never opens")
	return nil, math.MaxInt64
}
