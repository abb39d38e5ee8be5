// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/baseline"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// What lasts is normal in the end: the incident is resolved as stale, and the same level raises no other.
func TestStale(t *testing.T) {
	t.Parallel()
	all := maps.Clone(faults)
	all["slow orders"] = func(o *order) { o.ordersOwn += 300 * ms }
	for name, fault := range all {
		t.Run(name, func(t *testing.T) {
			set := testSettings()
			set.Incident.MaxDuration = 10 * minute
			p := newProbe(set)
			s := newShop(31)
			s.run(dawn, dawn+5*minute, 8)
			s.alter = fault
			s.run(dawn+5*minute, dawn+40*minute, 8)
			p.feed(512, s.sorted())
			got := p.identities()
			require.Len(t, got, 2)
			last := p.incidents[len(p.incidents)-1]
			assert.Equal(t, incident.Resolved, last.State)
			assert.True(t, last.Stale)
			assert.InDelta(t, p.incidents[0].Detected+10*minute, last.Resolved, float64(2*second))
			assert.False(t, p.incidents[0].Stale)
			if name == "slow orders" {
				assert.True(t, slices.ContainsFunc(p.ops, func(st opStats) bool {
					c := st.own.Normal()
					return c.N > 0 && st.own.Median() > 200*ms && c.Typical() > 200*ms
				}), "own time too")
			}

			s.alter = nil
			s.run(dawn+40*minute, dawn+50*minute, 8)
			p.feed(512, s.sorted())
			p.Idle()
			assert.Len(t, p.identities(), 2, "nor does the end of it")
		})
	}
}

// Until then nothing of it becomes normal, however long it takes.
func TestALongIncidentDoesNotLeakIntoNormal(t *testing.T) {
	t.Parallel()
	set := testSettings()
	set.Incident.MaxDuration = 3 * 60 * minute
	p := newProbe(set)
	s := newShop(32)
	s.run(dawn, dawn+5*minute, 8)
	p.feed(512, s.sorted())
	s.alter = slowDatabase
	s.run(dawn+5*minute, dawn+5*minute+30*second, 8)
	p.feed(512, s.sorted())
	require.NotNil(t, p.Open())
	before := make([]baseline.Cell, len(p.ops))
	for i := range p.ops {
		before[i] = p.ops[i].total.Normal()
	}
	s.run(dawn+5*minute+30*second, dawn+100*minute, 4)
	p.feed(512, s.sorted())
	require.NotNil(t, p.Open())
	for i := range p.ops {
		assert.Equal(t, before[i], p.ops[i].total.Normal(), i)
	}
	assert.Greater(t, p.now-p.Open()[0].Detected, taintCells*baseline.CellWidth, "longer than suspicion is remembered")

	// Nor from an operation that nobody calls until all is forgotten.
	assert.True(t, p.tainted(baseline.CellOf(p.now)-taintCells))
	assert.False(t, newProbe(set).tainted(1))
}
