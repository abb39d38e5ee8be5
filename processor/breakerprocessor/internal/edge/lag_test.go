// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/firebreak-otel/firebreak/internal/call"
)

func learned(most int64, lags ...int64) int64 {
	var l lag
	l.init(most)
	now := 100 * second
	for _, by := range lags {
		for range 100 {
			l.learn(now, by)
		}
	}
	l.learn(now+lagFades, 0)
	return l.wait
}

func TestLag(t *testing.T) {
	for name, tt := range map[string]struct {
		most int64
		lags []int64
		want int64
	}{
		"nothing known":            {5 * second, nil, unlearned},
		"nothing known, less most": {second, nil, second},
		"at once":                  {5 * second, []int64{0}, shortest},
		"before":                   {5 * second, []int64{-second}, shortest},
		"half are late":            {5 * second, []int64{0, 2 * second}, 2*second + 2*lagWidth},
		"at most":                  {5 * second, []int64{0, 9 * second}, 5 * second},
		"beyond what is counted":   {60 * second, []int64{0, 3600 * second}, lagSlots*lagWidth + lagWidth},
	} {
		assert.Equal(t, tt.want, learned(tt.most, tt.lags...), name)
	}
}

// One of a hundred need not be waited for.
func TestLagLeavesTheLast(t *testing.T) {
	for late, want := range map[int]int64{2: shortest, 3: 3*second + 2*lagWidth} {
		var l lag
		l.init(5 * second)
		for i := range 200 {
			by := int64(0)
			if i < late {
				by = 3 * second
			}
			l.learn(second, by)
		}
		l.conclude()
		assert.Equal(t, want, l.wait, "%d of 200", late)
	}
}

// What was learned fades: exporters that were restarted with shorter intervals are not waited for for ever.
func TestLagFades(t *testing.T) {
	var l lag
	l.init(5 * second)
	now := second
	teach := func(by int64, times int) {
		for range times {
			now += lagFades
			for range 100 {
				l.learn(now, by)
			}
		}
	}
	teach(4*second, 5)
	assert.Equal(t, 4*second+2*lagWidth, l.wait)
	teach(0, 3)
	assert.Equal(t, 4*second+2*lagWidth, l.wait)
	teach(0, 10)
	assert.Equal(t, shortest, l.wait)
}

// It is learned of pairs, whose callee's span comes so much event time later.
func TestSettlingIsLearnedOfPairs(t *testing.T) {
	w := warm(testSettings())
	assert.Equal(t, unlearned, w.Settling())
	assert.Equal(t, unlearned+restMore, w.Rest())
	var late []call.Call
	w.run(30*second, func(int) {
		c := w.client(named("catalog"), call.OK)
		w.record("orders", c)
		if late = append(late, w.server(c)); len(late) > 60 {
			w.record("catalog", late[0])
			late = late[1:]
		}
	})
	assert.Equal(t, 3*second+2*lagWidth, w.Settling())
}
