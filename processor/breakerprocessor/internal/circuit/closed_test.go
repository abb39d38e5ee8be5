// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

// The rules at their limits, and which comes first.
func TestRules(t *testing.T) {
	type config = func(*Config)
	window := func(s Sums) Recent { return Recent{Window: s} }
	late := func(s Sums, fast Sums) Recent { return Recent{Window: s, Fast: fast} }
	usual := func(ratio float64, r Recent) Recent { r.Usual = ratio; return r }
	row := func(n uint32, r Recent) Recent { r.Row = n; return r }
	slow := func(cfg *Config) { cfg.SlowRatio, cfg.SlowCalls = 0.3, 20 }
	count := func(cfg *Config) { cfg.FailureCount = 3 }
	consecutive := func(cfg *Config) { cfg.Consecutive = 3 }
	tests := map[string]struct {
		recent Recent
		change config
		want   Reason
	}{
		"below the ratio":                     {window(calls(1000, 499)), nil, NoReason},
		"exactly the ratio":                   {window(calls(1000, 500)), nil, FailureRate},
		"too few":                             {window(calls(4, 4)), nil, NoReason},
		"few but all":                         {window(calls(5, 5)), nil, FailureRate},
		"few and not certain":                 {window(calls(6, 3)), nil, NoReason},
		"7 of 10":                             {window(calls(10, 7)), nil, FailureRate},
		"6 of 10: not certain":                {window(calls(10, 6)), nil, NoReason},
		"fast":                                {late(calls(1000, 18), calls(20, 18)), nil, FastFailureRate},
		"fast: too few":                       {late(calls(1000, 19), calls(19, 19)), nil, NoReason},
		"fast: below its ratio":               {late(calls(1000, 17), calls(20, 17)), nil, NoReason},
		"fast before all others":              {row(9, late(calls(20, 18), calls(20, 18))), consecutive, FastFailureRate},
		"a usual tenth":                       {usual(0.1, window(calls(1000, 500))), nil, FailureRate},
		"a usual quarter: below three times":  {usual(0.25, window(calls(1000, 749))), nil, NoReason},
		"a usual quarter: three times":        {usual(0.25, window(calls(1000, 750))), nil, FailureRate},
		"a usual half: below the cap":         {usual(0.5, window(calls(1000, 899))), nil, NoReason},
		"a usual half: the cap":               {usual(0.5, window(calls(1000, 900))), nil, FailureRate},
		"a usual fifth: fast":                 {usual(0.2, late(calls(1000, 18), calls(20, 18))), nil, FastFailureRate},
		"fast, of a usual third, capped":      {usual(0.33, late(calls(1000, 18), calls(20, 18))), func(c *Config) { c.BaselineCap = 1 }, NoReason},
		"a quarter hangs":                     {window(hanging(200, 50)), nil, FailureLoad},
		"a quarter hangs of late":             {late(calls(9000, 50), hanging(200, 50)), nil, FailureLoad},
		"a tenth hangs":                       {window(hanging(200, 20)), nil, NoReason},
		"a third hangs, of few":               {window(hanging(49, 16)), nil, NoReason},
		"a quarter fails, none hangs":         {window(calls(200, 50)), nil, NoReason},
		"in a row":                            {row(3, window(calls(100, 3))), consecutive, Consecutive},
		"in a row: one short":                 {row(2, window(calls(100, 3))), consecutive, NoReason},
		"in a row: off":                       {row(99, window(calls(100, 3))), nil, NoReason},
		"rate before row":                     {row(3, window(calls(10, 10))), consecutive, FailureRate},
		"row before count":                    {row(3, window(calls(100, 3))), func(c *Config) { count(c); consecutive(c) }, Consecutive},
		"count":                               {window(calls(100, 3)), count, FailureCount},
		"count: one short":                    {window(calls(100, 2)), count, NoReason},
		"count: some are pending, not known":  {window(with(calls(100, 4), 2, 0, 0)), count, NoReason},
		"count: enough are certain":           {window(with(calls(100, 4), 1, 0, 0)), count, FailureCount},
		"count before load":                   {window(hanging(200, 50)), count, FailureCount},
		"load before slow":                    {window(with(hanging(200, 50), 0, 0, 90)), slow, FailureLoad},
		"slow":                                {window(with(calls(20, 0), 0, 0, 6)), slow, SlowRate},
		"slow: below":                         {window(with(calls(20, 0), 0, 0, 5)), slow, NoReason},
		"slow: too few":                       {window(with(calls(19, 0), 0, 0, 19)), slow, NoReason},
		"slow: off":                           {window(with(calls(20, 0), 0, 0, 20)), nil, NoReason},
		"slow, whatever is pending":           {window(with(calls(20, 4), 4, 0, 6)), slow, SlowRate},
		"slow: no calls":                      {Recent{}, func(c *Config) { c.SlowRatio = 0.3 }, NoReason},
		"pending, nothing known":              {late(with(calls(100, 100), 96, 0, 0), with(calls(50, 50), 50, 0, 0)), nil, NoReason},
		"pending, those that settled: ours":   {late(with(calls(100, 100), 95, 0, 0), with(calls(50, 50), 50, 0, 0)), nil, FastFailureRate},
		"pending, those that settled: not":    {late(with(calls(105, 100), 100, 5, 0), with(calls(50, 50), 50, 0, 0)), nil, NoReason},
		"pending, half of them ours: half":    {window(with(calls(110, 100), 90, 10, 0)), nil, FailureRate},
		"pending, less than half":             {window(with(calls(111, 100), 90, 10, 0)), nil, NoReason},
		"pending and hanging, not known":      {window(with(hanging(200, 50), 46, 0, 0)), nil, NoReason},
		"pending and hanging, a quarter ours": {window(with(hanging(200, 120), 100, 60, 0)), nil, NoReason},
		"pending and hanging, ours":           {window(with(hanging(200, 50), 45, 0, 0)), nil, FailureLoad},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig()
			if tt.change != nil {
				tt.change(cfg)
			}
			b := New(cfg, 1, 0)
			got, changed := b.Step(0, &tt.recent)
			assert.Equal(t, tt.want, got.Reason)
			assert.Equal(t, tt.want != NoReason, changed)
			if changed {
				assert.Equal(t, tt.want == FastFailureRate || tt.want == FailureLoad && tt.recent.Fast.Bad > 0, got.Evidence == tt.recent.Fast)
				assert.Equal(t, -1.0, got.Obedience)
			}
			tt.recent.Veto = true
			b = New(cfg, 1, 0)
			_, changed = b.Step(0, &tt.recent)
			assert.False(t, changed, "a veto")
		})
	}
}

// Whatever is below all limits opens nothing, in any order and at any time.
func TestNeverOpensBelow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := testConfig()
		cfg.SlowRatio, cfg.SlowCalls, cfg.FailureCount, cfg.Consecutive = 0.5, 20, 1000, 7
		b := New(cfg, 3, rapid.Int64Range(0, 60*second).Draw(t, "warm"))
		now := int64(0)
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			now += rapid.Int64Range(0, 8*second).Draw(t, "dt")
			n := rapid.IntRange(1, 1900).Draw(t, "calls")
			s := with(calls(n, (n-1)/2), 0, 0, (n-1)/2)
			s.Pending = rapid.Uint32Range(0, s.Bad).Draw(t, "pending")
			s.Deeper = rapid.Uint32Range(0, uint32(n)-s.Bad).Draw(t, "deeper")
			r := Recent{Window: s, Fast: s, Row: rapid.Uint32Range(0, 6).Draw(t, "row"), Usual: rapid.Float64Range(0, 1).Draw(t, "usual")}
			b.Call(now, s)
			_, changed := b.Step(now, &r)
			if changed {
				t.Fatalf("opens at %+v", r)
			}
		}
	})
}

// An attempt is paid back by each window closed, a relapse by each six of them.
func TestAttemptIsPaidBackByTheWindow(t *testing.T) {
	for calm, want := range map[int64][2]uint8{
		0: {4, 4}, 9: {4, 4}, 10: {3, 4}, 25: {2, 4}, 40: {0, 4}, 59: {0, 4}, 60: {0, 3}, 239: {0, 1}, 240: {}, 4000: {},
	} {
		b := New(testConfig(), 1, 1000*second)
		b.attempt, b.relapses, b.opened = 3, 3, true
		tr, changed := b.Step((1000+calm)*second, &Recent{Window: calls(10, 10)})
		assert.True(t, changed)
		assert.Equal(t, want, [2]uint8{tr.Attempt, b.relapses}, "after %d s", calm)
	}
	assert.EqualValues(t, math.MaxUint8, nextAttempt(math.MaxUint8, 0, 0, 10*second))
}
