// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

// Every breaker does its work, in the state that it is measured in, and ours allocates nothing.
func TestPathsWork(t *testing.T) {
	rows, err := measure(paths(), 1, window)
	require.NoError(t, err)
	require.Len(t, rows, 11)
	for _, r := range rows {
		assert.Positive(t, r.NsPerOp, r.Path)
		if r.System == "firebreak" {
			assert.Less(t, r.AllocsPerOp, 0.005, r.Path)
		}
	}
}

func TestIdleBreakerIsRefused(t *testing.T) {
	for name, h := range map[string]*hot{
		"the breaker is open": newHot(100, circuit.Closed),
		"in the window":       newHot(10, circuit.Closed),
		"were counted":        newHot(0, circuit.Closed),
	} {
		h.run(2 * window)
		if name == "in the window" {
			h.failing = 20
		} else if name == "were counted" {
			h.record(call.Ignored)
		}
		assert.ErrorContains(t, h.check(), name)
	}
	p := path{"firebreak", "idle", func(int) {}, func() error { return errors.New("no calls") }}
	_, err := measure([]path{p}, 1, 1)
	assert.ErrorContains(t, err, "firebreak, idle: no calls: what was measured is not the breaker at work")
}

func TestMedian(t *testing.T) {
	assert.Equal(t, 2.0, median([]float64{9, 1, 2}))
	assert.Equal(t, 1.5, median([]float64{2, 1, 9, 1}))
}
