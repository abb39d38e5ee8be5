// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package outlier

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// hosts makes hosts of 100 requests with so many failures each.
func hosts(failures ...uint32) (out []Host) {
	for _, f := range failures {
		out = append(out, Host{100, f})
	}
	return out
}

func TestEject(t *testing.T) {
	success := Config{SuccessRate: Rule{20, 5}, StdevFactor: 1.9, MaxEjected: 100}
	floor := success
	floor.SuccessFloor = 90
	percent := Config{FailurePercentage: Rule{20, 3}, FailureThreshold: 50, MaxEjected: 100}
	both := percent
	both.SuccessRate, both.StdevFactor = success.SuccessRate, success.StdevFactor
	capped, one := percent, percent
	capped.MaxEjected = 40
	one.MaxEjected, one.AlwaysOne = 10, true
	tests := map[string]struct {
		cfg   Config
		hosts []Host
		out   int
		want  []int
	}{
		"a hair worse than the others is an outlier":   {success, hosts(0, 2, 0, 0, 0), 0, []int{1}},
		"not with a floor":                             {floor, hosts(0, 2, 0, 0, 0), 0, nil},
		"a floor lets go what is below":                {floor, hosts(0, 11, 0, 0, 0), 0, []int{1}},
		"exactly the floor stays":                      {floor, hosts(0, 10, 0, 0, 0), 0, nil},
		"all alike":                                    {success, hosts(50, 50, 50, 50, 50), 0, nil},
		"too few hosts":                                {success, hosts(0, 100, 0, 0), 0, nil},
		"a host without volume is not looked at":       {success, append(hosts(0, 0, 0, 0, 0), Host{19, 19}), 0, nil},
		"with it, it is":                               {success, append(hosts(0, 0, 0, 0, 0), Host{20, 20}), 0, []int{5}},
		"and does not make up the number":              {success, append(hosts(0, 100, 0, 0), Host{19, 0}), 0, nil},
		"exactly the percentage":                       {percent, hosts(50, 49, 0), 0, []int{0}},
		"percentage: too few hosts":                    {percent, hosts(100, 100), 0, nil},
		"percentage: too few requests":                 {percent, append(hosts(0, 0, 0), Host{19, 19}), 0, nil},
		"two rules, one host":                          {both, hosts(0, 0, 100, 0, 0), 0, []int{2}},
		"the cap":                                      {capped, hosts(100, 100, 100, 0, 0), 0, []int{0, 1}},
		"the cap, one is out":                          {capped, hosts(100, 100, 100, 0), 1, []int{0}},
		"always one":                                   {one, hosts(100, 100, 0, 0, 0), 0, []int{0}},
		"always one, and it is out":                    {one, hosts(100, 100, 0, 0), 1, nil},
		"no host":                                      {both, nil, 0, nil},
		"hosts without requests are no hosts to judge": {Config{FailureThreshold: 50, StdevFactor: 1, MaxEjected: 100}, make([]Host, 5), 0, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.want, tt.cfg.Eject(tt.hosts, tt.out))
		})
	}
}

// Never more than the cap, none twice, and no host that never failed.
func TestEjectInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Host {
			n := rapid.Uint32Range(0, 50).Draw(t, "requests")
			return Host{n, rapid.Uint32Range(0, n).Draw(t, "failures")}
		}), 0, 12).Draw(t, "hosts")
		out := rapid.IntRange(0, 3).Draw(t, "out")
		cfg := Config{
			SuccessRate: Rule{5, 3}, StdevFactor: rapid.Float64Range(0, 3).Draw(t, "factor"),
			FailurePercentage: Rule{5, 3}, FailureThreshold: rapid.Float64Range(0, 100).Draw(t, "threshold"),
			MaxEjected: rapid.Float64Range(0, 100).Draw(t, "max"),
		}
		seen := map[int]bool{}
		for _, i := range cfg.Eject(hosts, out) {
			require.False(t, seen[i])
			seen[i] = true
			require.NotZero(t, hosts[i].Failures)
		}
		if len(seen) > 0 {
			require.LessOrEqual(t, 100*float64(len(seen)+out), cfg.MaxEjected*float64(len(hosts)+out))
		}
	})
}

func TestEjections(t *testing.T) {
	var e Ejections
	e.Forgive()
	assert.EqualValues(t, 30, e.Eject(30, 100))
	assert.EqualValues(t, 60, e.Eject(30, 100))
	e.Forgive()
	assert.EqualValues(t, 60, e.Eject(30, 100), "one was forgiven")
	assert.EqualValues(t, 90, e.Eject(30, 100))
	assert.EqualValues(t, 100, e.Eject(30, 100), "the limit")
	e.times = math.MaxUint32
	assert.EqualValues(t, 100, e.Eject(30, 100), "saturates")
	assert.Equal(t, int64(math.MaxInt64), e.Eject(math.MaxInt64/2, math.MaxInt64), "no overflow")
	assert.Zero(t, e.Eject(0, 100))
}

func TestFailuresInARow(t *testing.T) {
	var e Ejections
	assert.False(t, e.Request(true, 2))
	assert.False(t, e.Request(false, 2))
	assert.False(t, e.Request(true, 2), "the row was broken")
	assert.True(t, e.Request(true, 2))
	assert.False(t, e.Request(true, 2), "begins anew")
	e.Return()
	assert.False(t, e.Request(true, 2), "and when the host returns")
	e.Eject(1, 1)
	assert.False(t, e.Request(true, 2), "and when it goes")
}
