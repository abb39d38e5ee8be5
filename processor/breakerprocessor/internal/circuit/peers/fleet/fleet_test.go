// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const seed = 1

// play has everybody judge the calls of a scenario: ours first. opened are the edges that the observer opened.
func play(t *testing.T, s Scenario, seed uint64) (rows []Row, opened []string) {
	t.Helper()
	calls := s.Calls(seed)
	synctest.Test(t, func(t *testing.T) {
		all, err := s.Observe(t.Context(), calls, seed)
		require.NoError(t, err)
		var ours []Change
		for _, c := range all {
			if c.Edge == s.Edge() {
				ours = append(ours, c)
			}
			if c.Next == "open" && !slices.Contains(opened, c.Edge) {
				opened = append(opened, c.Edge)
			}
		}
		rows = append(rows, s.Measure(Ours, 1, calls, ours))
	})
	synctest.Test(t, func(*testing.T) {
		for p, changes := range Run(Peers(), s.Replicas, Attempts(calls)) {
			rows = append(rows, s.Measure(Peers()[p].Name, s.Replicas, calls, changes))
		}
	})
	return rows, opened
}

// The fleet of issue 3: what befalls it is contained in time, by the breaker of the edge that it befell and by no
// other, and what is not the callee's fault opens nothing.
func TestFleet(t *testing.T) {
	var table []Row
	for _, s := range Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			rows, opened := play(t, s, seed)
			table = append(table, rows...)
			ours := rows[0]
			if s.Within == 0 {
				assert.Empty(t, opened, "the callee is not at fault")
				return
			}
			assert.Equal(t, []string{s.Edge()}, opened, "the edge that failed opens, and no other")
			assert.True(t, ours.First != never && ours.First <= s.Within, "opens within %v of the fault, at arrival; opened after %v", s.Within, seconds(ours.First))
			assert.NotEqual(t, never, ours.Close, "closes again after the healing")
			if s.MaxTransitions > 0 {
				assert.LessOrEqual(t, ours.Transitions, s.MaxTransitions, "does not flap")
			}
		})
	}
	t.Log("\n" + Table(table))
}

// A day of edges on which so many calls fail all the time, by chance alone.
func TestDay(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED with -short: the simulated days, that is, whether anything opens by chance")
	}
	const peersCallers = 2
	var table []Row
	for _, day := range []struct {
		name string
		Day
	}{
		{"a day, 5 % fail", Day{Callers: 50, Failures: 0.05, Length: 24 * time.Hour}},
		{"a day, 10 % fail", Day{Callers: 5, Failures: 0.10, Length: 24 * time.Hour}},
	} {
		var ours []Change
		synctest.Test(t, func(t *testing.T) {
			var calls int
			var err error
			ours, calls, err = day.Observe(t.Context(), seed)
			require.NoError(t, err)
			t.Logf("%s: %d edges, %d calls; the others: the first %d edges, extrapolated; false opens are per 1,000 edges", day.name, day.Edges(), calls, peersCallers*dayCallees)
		})
		table = append(table, day.Row(day.name, Ours, day.Edges(), ours))
		if day.Failures == 0.05 {
			assert.LessOrEqual(t, table[len(table)-1].FalseOpens, 1.0, "%v", ours)
		}
		synctest.Test(t, func(*testing.T) {
			for p, changes := range Run(Peers(), DayBreakers(peersCallers), day.Attempts(seed, peersCallers)) {
				table = append(table, day.Row(day.name, Peers()[p].Name, peersCallers*dayCallees, changes))
			}
		})
	}
	t.Log("\n" + Table(table))
}

// The same seed gives the same table, and another another.
func TestSameSeedSameTable(t *testing.T) {
	scenarios := Scenarios()
	run := func(seed uint64) string {
		var rows []Row
		for _, i := range []int{0, 8, len(scenarios) - 1} {
			more, _ := play(t, scenarios[i], seed)
			rows = append(rows, more...)
		}
		return Table(rows)
	}
	first := run(seed)
	assert.Equal(t, first, run(seed))
	assert.NotEqual(t, first, run(seed+1))
}
