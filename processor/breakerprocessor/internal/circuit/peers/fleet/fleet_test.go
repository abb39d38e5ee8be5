// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const seed = 1

// A simulation of small steps is one goroutine after another: further cores only make work by waking up, and the
// garbage is little.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(1600)
	m.Run()
}

// observe has ours see the calls. changes are those of the edge that the fault is on, opened the edges that opened.
func observe(t *testing.T, s *Scenario, calls []Call) (changes []Change, opened []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		all, err := s.Observe(t.Context(), calls)
		require.NoError(t, err)
		for _, c := range all {
			if c.Edge == s.Edge() {
				changes = append(changes, c)
			}
			if c.Next == "open" && !slices.Contains(opened, c.Edge) {
				opened = append(opened, c.Edge)
			}
		}
	})
	return changes, opened
}

// play has everybody judge the calls of a scenario: ours first.
func play(t *testing.T, s *Scenario) (rows []Row, opened []string) {
	t.Helper()
	calls := s.Calls()
	ours, opened := observe(t, s, calls)
	rows = append(rows, s.Measure(Ours, 1, calls, ours))
	synctest.Test(t, func(*testing.T) {
		peers := Peers()
		for p, changes := range Run(peers, s.Replicas, Attempts(calls)) {
			rows = append(rows, s.Measure(peers[p].Name, s.Replicas, calls, changes))
		}
	})
	return rows, opened
}

// judge holds ours to what is promised.
func judge(t *testing.T, s *Scenario, ours *Row, opened []string) {
	t.Helper()
	if s.Blameless {
		assert.Empty(t, opened, "the callee is not at fault")
		return
	}
	assert.Subset(t, []string{s.Edge()}, opened, "no edge opens but the one that failed")
	assert.NotEqual(t, never, ours.Close, "closes again after the healing")
	if s.Within > 0 {
		assert.True(t, ours.First != never && ours.First <= s.Within, "open within %v of the onset, at arrival; it took %v", s.Within, seconds(ours.First))
	}
	if s.MaxTransitions > 0 {
		assert.LessOrEqual(t, ours.Transitions, s.MaxTransitions, "does not flap")
	}
}

// What befalls the fleet is contained in time, by the breaker of the edge that it befell and by no other, and what
// is not the callee's fault opens nothing.
func TestFleet(t *testing.T) {
	var table []Row
	for _, s := range Scenarios(seed) {
		t.Run(s.Name, func(t *testing.T) {
			rows, opened := play(t, &s)
			table = append(table, rows...)
			judge(t, &s, &rows[0], opened)
		})
	}
	t.Log("\n" + Table(table))
}

// Neither how the onset falls into a second, nor the phases of the exports, nor chance make a difference.
func TestWhateverTheSeed(t *testing.T) {
	seeds := uint64(6)
	if testing.Short() {
		seeds = 2
	}
	slowest := map[string]time.Duration{}
	for other := range seeds {
		for _, s := range slices.Concat(outages(), blameless()) {
			s.seed(100 + other)
			s.FaultFor, s.After = 20*time.Second, 0 // for how it opens; TestFleet sees it close
			if s.Blameless {
				s.After = 10 * time.Second // calls that hang end after those that don't: where all calls stop, they are all there is
			}
			calls := s.Calls()
			ours, opened := observe(t, &s, calls)
			row := s.Measure(Ours, 1, calls, ours)
			row.Close = 0
			t.Run(fmt.Sprintf("%s/%d", s.Name, s.Seed), func(t *testing.T) { judge(t, &s, &row, opened) })
			if was, ok := slowest[s.Name]; !ok || was != never && (row.First == never || row.First > was) {
				slowest[s.Name] = row.First
			}
		}
	}
	for _, s := range Scenarios(seed) {
		if at, ok := slowest[s.Name]; ok {
			t.Logf("%-34s slowest of %d seeds: opens after %v", s.Name, seeds, seconds(at))
		}
	}
}

// A day of edges on which so many calls fail all the time, by chance alone.
func TestDay(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED with -short: the simulated days, that is, whether anything opens by chance")
	}
	var table []Row
	for _, day := range []struct {
		name    string
		callers int // that the others are put to
		Day
	}{
		{"a day, 5 % fail", 1, Day{Callers: 50, Failures: 0.05, Length: 24 * time.Hour}},
		{"a day, 10 % fail", 1, Day{Callers: 2, Failures: 0.10, Length: 24 * time.Hour}},
	} {
		var ours []Change
		synctest.Test(t, func(t *testing.T) {
			var calls int
			var err error
			ours, calls, err = day.Observe(t.Context(), seed)
			require.NoError(t, err)
			t.Logf("%s: false opens are those of 1,000 edges: EXTRAPOLATED from %d edges and %d calls for %s, from the first %d of these edges for the others",
				day.name, day.Edges(), calls, Ours, day.callers*dayCallees)
		})
		table = append(table, day.Row(day.name, Ours, day.Edges(), ours))
		if day.Failures == 0.05 {
			assert.LessOrEqual(t, table[len(table)-1].FalseOpens, 1.0, "%v", ours)
		}
		synctest.Test(t, func(*testing.T) {
			for p, changes := range Run(Peers(), DayBreakers(day.callers), day.Attempts(seed, day.callers)) {
				table = append(table, day.Row(day.name, Peers()[p].Name, day.callers*dayCallees, changes))
			}
		})
	}
	t.Log("\n" + Table(table))
}

// The same seed gives the same table, and another another.
func TestSameSeedSameTable(t *testing.T) {
	run := func(seed uint64) string {
		var rows []Row
		scenarios := Scenarios(seed)
		for _, i := range []int{0, 8} {
			more, _ := play(t, &scenarios[i])
			rows = append(rows, more...)
		}
		return Table(rows)
	}
	first := run(seed)
	assert.Equal(t, first, run(seed))
	assert.NotEqual(t, first, run(seed+1))
}
