// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRecordLimits(t *testing.T) {
	for _, tt := range []struct {
		name               string
		ok, peer           float64
		allocs, peerAllocs float64
		want               []string
	}{
		{"in time", 40, 65, 0, 3, nil},
		{"a rare allocation", 40, 65, 0.0049, 0, nil},
		{"a slow machine", 80, 130, 0, 0, nil},
		{"a fast machine has the same limit", 60, 20, 0, 0, nil},
		{"too slow", 60.2, 65, 0, 0, []string{"firebreak, edge, ok takes 60.2 ns a call, may take 60.0"}},
		{"too slow for a slow machine", 121, 130, 0, 0, []string{"edge, ok takes 121.0 ns a call, may take 120.0"}},
		{"allocates", 40, 65, 0.01, 0, []string{"firebreak, gate makes 0.010 allocations a call"}},
		{"both", 90, 65, 1, 0, []string{"edge, ok takes", "gate makes 1.000"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := records{
				{"firebreak", "edge, ok", tt.ok, 0}, {"firebreak", "edge, 10 % fail", 500, 0},
				{"firebreak", "edge, open, all fail", 500, 0}, {"firebreak", "gate", 500, tt.allocs},
				{"failsafe-go", "record", tt.peer, tt.peerAllocs},
			}
			err := all.verify()
			if tt.want == nil {
				assert.NoError(t, err)
			}
			for _, want := range tt.want {
				assert.ErrorContains(t, err, want)
			}
		})
	}
	assert.ErrorContains(t, records{}.verify(), "firebreak, edge, ok was not measured")
}

func TestRecordReport(t *testing.T) {
	r := &report{Record: records{{"firebreak", "edge, ok", 40, 0}, {"failsafe-go", "record", 80, 1}}}
	var json, table strings.Builder
	require.NoError(t, r.writeJSON(&json))
	assert.JSONEq(t, `{"rows":null,"record":[
		{"system":"firebreak","path":"edge, ok","ns_per_op":40,"allocs_per_op":0},
		{"system":"failsafe-go","path":"record","ns_per_op":80,"allocs_per_op":1}]}`, json.String())
	require.NoError(t, r.Record.writeTable(&table))
	assert.Regexp(t, `firebreak +edge, ok +40\.0 +0\.00 +0\.50\n`, table.String())
	assert.Contains(t, table.String(), "73.8 ns")
}
