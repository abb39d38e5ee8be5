// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package storm

import (
	"fmt"
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const second = int64(1e9)

// begin is when the tests' time begins.
const begin = int64(1_700_000_000) * second

// phase is what happens in each of so many seconds.
type phase struct {
	seconds int
	Sums
	deeper bool
}

// calls makes a second of n logical calls of which failing fail at all of their attempts.
func calls(n, failing, attempts uint32) Sums {
	retries := failing * (attempts - 1)
	return Sums{Calls: n, Attempts: n + retries, Retries: retries, OK: n - failing, Bad: failing * attempts}
}

func (s *Sums) plus(o Sums) {
	s.Calls, s.Attempts, s.Retries = s.Calls+o.Calls, s.Attempts+o.Attempts, s.Retries+o.Retries
	s.OK, s.Bad = s.OK+o.OK, s.Bad+o.Bad
}

// play shows the phases second by second, from the first whole window on, and returns the events by the second after which they came.
func play(d *Detector, cfg *Config, usual float64, phases ...phase) (at []int, events []Event) {
	var past []Sums
	for _, p := range phases {
		for range p.seconds {
			past = append(past, p.Sums)
			var window Sums
			for _, s := range past[max(0, len(past)-int(cfg.Window/second)):] {
				window.plus(s)
			}
			if len(past) < int(cfg.Window/second) {
				continue
			}
			if d.last == 0 {
				p.Sums = window
			}
			l := Look{begin + int64(len(past))*second, window, p.Sums, usual, p.deeper}
			p.Sums = past[len(past)-1]
			if e := d.Look(cfg, &l); e.Kind != None {
				at, events = append(at, len(past)), append(events, e)
			}
		}
	}
	return at, events
}

func TestStorm(t *testing.T) {
	well := phase{30, calls(40, 0, 3), false}
	down := phase{14, calls(40, 40, 3), false}
	after := phase{60, calls(40, 0, 3), false}
	type when struct {
		second int
		kind   Kind
	}
	tests := map[string]struct {
		usual  float64
		phases []phase
		want   []when
	}{
		"an outage, three attempts each": {40, []phase{well, down, after}, []when{{32, Started}, {73, Ended}}},
		"usual goodput is not known":     {0, []phase{well, down, after}, []when{{33, Started}, {73, Ended}}},
		"no retries":                     {40, []phase{well, {14, calls(40, 40, 1), false}, after}, nil},
		"few calls":                      {1, []phase{{30, calls(1, 0, 3), false}, {14, calls(1, 1, 3), false}}, nil},
		"retries, all of which help":     {40, []phase{well, {60, Sums{40, 80, 40, 40, 40}, false}}, nil},
		"a third fails, from one second to the next": {40, []phase{well, {60, calls(40, 14, 3), false}, after},
			[]when{{33, Started}, {118, Ended}}},
		"a third always failed":                     {26, []phase{{60, calls(40, 14, 3), false}}, nil},
		"more calls, as many retries in proportion": {40, []phase{{30, calls(40, 2, 3), false}, {60, calls(400, 20, 3), false}}, nil},
		"it comes back before it has ended": {40, []phase{well, down, {15, calls(40, 0, 3), false}, down, after},
			[]when{{32, Started}, {102, Ended}}},
		"retries sustain it": {40, []phase{well, down, {60, calls(40, 40, 3), true}, {60, calls(40, 0, 3), true}},
			[]when{{32, Started}, {65, Metastable}, {133, Ended}}},
		"the cause is ill again in between": {40, []phase{well, down, {15, calls(40, 40, 3), true}, down, {10, calls(40, 40, 3), true}, {10, calls(40, 0, 3), true}},
			[]when{{32, Started}}},
		"some always failed, and goodput was always low": {50, []phase{{60, calls(40, 6, 3), false}}, nil},
		"goodput falls long after failures grew":         {34, []phase{well, {60, calls(40, 6, 3), false}, {60, calls(30, 5, 3), false}}, nil},
		"exactly the budget":                             {50, []phase{well, {60, calls(40, 4, 3), false}}, nil},
		"one second beyond budget in an outage without retries": {40, []phase{well, {5, calls(40, 40, 1), false},
			{1, calls(40, 10, 3), false}, {5, calls(40, 40, 1), false}, after}, nil},
		"retries that help are not metastable": {40, []phase{well, down, {60, Sums{40, 100, 60, 40, 60}, true}}, []when{{32, Started}}},
		"nor are few":                          {40, []phase{well, down, {60, calls(40, 6, 3), true}}, []when{{32, Started}}},
		"it heals with the cause":              {40, []phase{well, down, {60, calls(40, 0, 3), true}}, []when{{32, Started}, {73, Ended}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := Default(10 * second)
			at, events := play(&Detector{}, &cfg, tt.usual, tt.phases...)
			var got []when
			for i, e := range events {
				got = append(got, when{at[i], e.Kind})
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

// The numbers of an ended storm are those of the time in which it was, not of what was well around it.
func TestStormStatesItsLife(t *testing.T) {
	cfg := Default(10 * second)
	var d Detector
	assert.True(t, d.Idle())
	_, events := play(&d, &cfg, 40, phase{30, calls(40, 1, 3), false}, phase{14, calls(40, 36, 3), false}, phase{60, calls(40, 1, 3), false})
	require.Len(t, events, 2)
	e := events[1]
	assert.Equal(t, Ended, e.Kind)
	assert.Equal(t, begin+30*second, e.Since)
	assert.Equal(t, begin+44*second, e.Until)
	assert.EqualValues(t, 14*40, e.Calls)
	assert.EqualValues(t, 14*(40+72), e.Attempts)
	assert.EqualValues(t, 14*4, e.OK)
	assert.InDelta(t, 2.8, e.Amplification, 1e-9)
	assert.InDelta(t, 2.8, e.Peak, 1e-9)
	assert.InDelta(t, 39, e.Goodput, 1e-9)
	assert.InDelta(t, 3.0/42, e.FailureRatio, 1e-9)
	assert.Zero(t, e.Usual-40)
	assert.InDelta(t, 0.1, e.Budget, 0)
	assert.True(t, d.Idle())
	assert.False(t, d.Storm())
	assert.LessOrEqual(t, unsafe.Sizeof(d), uintptr(128))
}

// A step beyond budget that came to nothing is forgotten after a window.
func TestNoStormLeavesNothing(t *testing.T) {
	cfg := Default(10 * second)
	var d Detector
	play(&d, &cfg, 40, phase{11, calls(40, 0, 3), false}, phase{1, calls(40, 10, 3), false}, phase{10, calls(40, 0, 3), false})
	assert.False(t, d.Idle())
	d.Look(&cfg, &Look{Now: begin + 23*second})
	assert.True(t, d.Idle())
}

func TestLookAgain(t *testing.T) {
	cfg := Default(10 * second)
	var d, twice Detector
	look := Look{Now: begin, Window: calls(400, 400, 3), Step: calls(40, 40, 3)}
	require.Equal(t, Started, d.Look(&cfg, &look).Kind)
	once := d
	assert.Equal(t, Event{}, d.Look(&cfg, &look), "the same second")
	assert.Equal(t, once, d)
	twice.Look(&cfg, &look)
	twice.Move(3600 * second)
	look.Now += 3600 * second
	var later Detector
	later.Look(&cfg, &look)
	assert.Equal(t, later, twice)
	look.Now += second
	assert.Equal(t, None, twice.Look(&cfg, &look).Kind)
	assert.Equal(t, begin+3590*second, twice.since)
	assert.True(t, twice.Storm())
}

// A storm has a life: none begins before a step is beyond budget.
func TestWindowWithoutSteps(t *testing.T) {
	cfg := Default(10 * second)
	var d Detector
	assert.Equal(t, None, d.Look(&cfg, &Look{Now: begin, Window: calls(400, 400, 3)}).Kind)
	assert.Equal(t, Started, d.Look(&cfg, &Look{Now: begin + second, Window: calls(400, 400, 3), Step: calls(40, 40, 3)}).Kind)
}

// A ratio rises above the lowest of this window and of the one before it.
func TestRising(t *testing.T) {
	cfg := Default(10 * second)
	tests := map[string]struct {
		ratios map[int]float64 // by second; what is not said stays
		want   []int           // the seconds at which it rises
	}{
		"by less than noise":    {map[int]float64{1: 0, 2: 0.09}, nil},
		"for up to two windows": {map[int]float64{1: 0, 8: 0.3}, []int{8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}},
		"from a dip":            {map[int]float64{1: 0.3, 2: 0.1, 3: 0.25, 4: 0.1}, []int{3}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var d Detector
			var got []int
			ratio := 0.0
			for s := 1; s <= 30; s++ {
				if r, ok := tt.ratios[s]; ok {
					ratio = r
				}
				if d.rising(&cfg, begin+int64(s)*second, ratio) {
					got = append(got, s)
				}
				d.last = begin + int64(s)*second
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

// Whatever comes: storms start and end in turn, are metastable once at most, have retries beyond budget in them, and
// their totals are those of the seconds that they name.
func TestStormInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		phases := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) phase {
			n := rapid.Uint32Range(0, 60).Draw(t, "calls")
			return phase{
				rapid.IntRange(1, 20).Draw(t, "seconds"),
				calls(n, rapid.Uint32Range(0, n).Draw(t, "failing"), rapid.Uint32Range(1, 4).Draw(t, "attempts")),
				rapid.Bool().Draw(t, "deeper"),
			}
		}), 0, 20).Draw(t, "phases")
		cfg := Default(5 * second)
		usual := rapid.SampledFrom([]float64{0, 10, 40}).Draw(t, "usual")
		var past []Sums
		for _, p := range phases {
			for range p.seconds {
				past = append(past, p.Sums)
			}
		}
		_, events := play(&Detector{}, &cfg, usual, phases...)
		on, said := false, false
		for _, e := range events {
			switch e.Kind {
			case Started:
				require.False(t, on)
				on, said = true, false
			case Metastable:
				require.True(t, on && !said)
				said = true
			case Ended:
				require.True(t, on)
				on = false
			}
			var life Sums
			// The first look tells of a whole window before it.
			for _, s := range past[max(0, (e.Since-begin)/second) : (e.Until-begin)/second] {
				life.plus(s)
			}
			require.EqualValues(t, life.Calls, e.Calls)
			require.EqualValues(t, life.Attempts, e.Attempts)
			require.EqualValues(t, life.OK, e.OK)
			require.Greater(t, e.Attempts, e.Calls)
			require.False(t, math.IsNaN(e.Amplification) || math.IsInf(e.Amplification, 0))
		}
	})
}

func TestLayers(t *testing.T) {
	three := LayerSum{10, 30}
	tests := map[string]struct {
		path []LayerSum
		want Plan
	}{
		"no path":                         {nil, Plan{1, -1, nil}},
		"nobody retries":                  {[]LayerSum{{10, 10}, {10, 10}}, Plan{1, -1, nil}},
		"one does":                        {[]LayerSum{{10, 10}, three, {30, 30}}, Plan{3, 1, nil}},
		"two do":                          {[]LayerSum{three, {30, 30}, {30, 60}}, Plan{6, 2, []int{0}}},
		"five layers, 243":                {[]LayerSum{three, {30, 90}, {90, 270}, {270, 810}, {810, 2430}}, Plan{243, 4, []int{0, 1, 2, 3}}},
		"without calls":                   {[]LayerSum{{0, 0}, three}, Plan{3, 1, nil}},
		"fewer attempts than is possible": {[]LayerSum{{10, 5}, three}, Plan{3, 1, nil}},
		"a retry now and then is none":    {[]LayerSum{three, {100, 104}}, Plan{3 * 1.04, 0, nil}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := Layers(tt.path)
			assert.InDelta(t, tt.want.Amplification, got.Amplification, 1e-9)
			got.Amplification = tt.want.Amplification
			assert.Equal(t, tt.want, got, fmt.Sprint(tt.path))
		})
	}
}
