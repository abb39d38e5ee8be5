// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every candidate does its work on a smaller shop, and shows it by its own metrics.
func TestCandidatesWork(t *testing.T) {
	p := newPool(100)
	for i := range candidates {
		c := &candidates[i]
		t.Run(c.name, func(t *testing.T) {
			got, err := measure(c, p, 30)
			require.NoError(t, err)
			if c.name != "nop" {
				assert.Positive(t, got.ns)
				assert.Positive(t, got.held)
			}
		})
	}
}

func TestIdleComponentIsRefused(t *testing.T) {
	p := newPool(100)
	for _, checks := range [][]check{breakerChecks, rcaChecks, serviceGraphChecks} {
		_, err := measure(&candidate{"idle", (*build).nop, checks}, p, 2)
		assert.ErrorContains(t, err, "not the component at work")
	}
}

func TestReport(t *testing.T) {
	r := &report{Rows: []reportRow{
		newRow("breaker+rca", []cost{{600, 0.5, 90}, {900, 0.1, 70}, {700, 0.2, 80}}),
		newRow(peer, []cost{{1000, 7, 122}, {1400, 8, 122}}),
	}}
	var json, table strings.Builder
	require.NoError(t, r.writeJSON(&json))
	assert.JSONEq(t, `{"rows":[
		{"component":"breaker+rca","ns_per_span":700,"allocs_per_span":0.2,"bytes_held_per_span":80},
		{"component":"service_graph","ns_per_span":1200,"allocs_per_span":7.5,"bytes_held_per_span":122}]}`, json.String())
	require.NoError(t, r.writeTable(&table, 3, 1))
	assert.Regexp(t, `breaker\+rca +700 +0\.20 +80 +0\.58\n`, table.String())
	assert.Contains(t, table.String(), "breaker+rca costs 0.58 x service_graph")

	r.Rows = r.Rows[:1]
	assert.Equal(t, "-", r.ratio(&r.Rows[0]), "nothing to compare with")
}

func TestChoose(t *testing.T) {
	all, alsoRecord, err := choose("")
	require.NoError(t, err)
	assert.True(t, alsoRecord)
	var names []string
	for _, c := range all {
		names = append(names, c.name)
	}
	assert.Equal(t, []string{"nop", "breaker", "rca", "breaker+rca", "service_graph"}, names)

	two, alsoRecord, err := choose("rca,nop")
	require.NoError(t, err)
	assert.False(t, alsoRecord)
	require.Len(t, two, 2)
	assert.Equal(t, "nop", two[0].name)

	none, alsoRecord, err := choose(recordPath)
	require.NoError(t, err)
	assert.True(t, alsoRecord)
	assert.Empty(t, none)

	_, _, err = choose("rca,oops")
	assert.ErrorContains(t, err, `no component "oops"`)
}
