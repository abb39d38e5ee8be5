// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// counts makes instances of calls and failures each.
func counts(pairs ...[2]uint32) (out []Count) {
	for i, p := range pairs {
		out = append(out, Count{Key: uint64(i + 1), Name: string(rune('a' + i)), Calls: p[0], Bad: p[1]})
	}
	return out
}

// times repeats one instance.
func times(n int, calls, bad uint32) (out [][2]uint32) {
	for range n {
		out = append(out, [2]uint32{calls, bad})
	}
	return out
}

func sumOf(hosts []Count) (t Count) {
	for _, h := range hosts {
		t.Calls, t.Bad, t.Deeper = t.Calls+h.Calls, t.Bad+h.Bad, t.Deeper+h.Deeper
	}
	return t
}

func TestQuorum(t *testing.T) {
	deeper := counts([2]uint32{10, 0}, [2]uint32{10, 10}, [2]uint32{10, 10})
	deeper[1].Deeper = 10
	tests := map[string]struct {
		callers []Count
		want    bool
		sick    []string
	}{
		"nobody is known":                             {nil, true, nil},
		"one instance":                                {counts([2]uint32{10, 10}), true, nil},
		"all fail":                                    {counts(times(10, 5, 5)...), true, nil},
		"H17: one of ten":                             {counts(append(times(9, 10, 0), [2]uint32{10, 10})...), false, []string{"j"}},
		"one of ten, that makes most calls":           {counts(append(times(9, 5, 0), [2]uint32{900, 880})...), false, []string{"j"}},
		"one of ten, and there is noise":              {counts(append(times(9, 10, 2), [2]uint32{10, 10})...), false, []string{"j"}},
		"one of two":                                  {counts([2]uint32{10, 0}, [2]uint32{10, 10}), false, []string{"b"}},
		"two of six":                                  {counts(append(times(4, 10, 0), times(2, 10, 10)...)...), true, nil},
		"two of seven":                                {counts(append(times(5, 10, 0), times(2, 10, 10)...)...), false, []string{"f", "g"}},
		"three of ten, exactly 30 %":                  {counts(append(times(7, 10, 0), times(3, 10, 10)...)...), true, nil},
		"the other is neither well nor failing":       {counts([2]uint32{10, 10}, [2]uint32{20, 5}), true, nil},
		"the other is well by a hair":                 {counts([2]uint32{10, 10}, [2]uint32{21, 5}), false, []string{"a"}},
		"the other was not heard enough":              {counts([2]uint32{10, 10}, [2]uint32{2, 0}), true, nil},
		"the others were heard enough together":       {counts([2]uint32{10, 10}, [2]uint32{1, 0}, [2]uint32{1, 0}, [2]uint32{1, 0}), false, []string{"a"}},
		"heard once each, all failed":                 {counts(times(40, 1, 1)...), true, nil},
		"the outage has begun: many were well before": {counts(append(times(20, 1, 0), times(20, 1, 1)...)...), true, nil},
		"noise among the rarely heard":                {counts(append(append(times(7, 2, 0), times(3, 1, 1)...), [2]uint32{9, 9})...), false, []string{"k"}},
		"no noise, 40 % of their calls":               {counts(append(append(times(3, 2, 0), times(4, 1, 1)...), [2]uint32{9, 9})...), true, nil},
		"noise beside instances that are well":        {counts(append(append(times(4, 10, 0), times(3, 1, 1)...), [2]uint32{9, 9})...), false, []string{"h"}},
		"nothing fails":                               {counts(times(10, 10, 0)...), false, nil},
		"heard once, failed: not sick yet":            {counts(append(times(9, 10, 0), [2]uint32{2, 2})...), false, nil},
		"failures that began deeper are none":         {deeper, false, []string{"c"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, vote := Quorum(tt.callers)
			assert.Equal(t, tt.want, got, "%+v", vote)
			assert.Equal(t, tt.sick, Sick(tt.callers))
		})
	}
}

// Neither the order of the instances nor how often a failing one repeats itself changes the vote.
func TestQuorumInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		callers := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Count {
			n := rapid.Uint32Range(0, 6).Draw(t, "calls")
			return Count{Calls: n, Bad: rapid.Uint32Range(0, n).Draw(t, "bad")}
		}), 0, 12).Draw(t, "callers")
		want, vote := Quorum(callers)
		other := rapid.Permutation(callers).Draw(t, "other")
		for i, c := range other {
			if c.failing() && c.Calls >= heardEnough {
				other[i] = Count{Calls: c.Calls * 1000, Bad: c.Bad * 1000}
			}
		}
		got, again := Quorum(other)
		require.Equal(t, want, got)
		require.Equal(t, vote, again)
		require.LessOrEqual(t, vote.Failing+vote.Well, vote.Heard)
	})
}

// A hundred replicas at 0.2 calls a second each, well for a minute, then a total outage: 2 s later, when the fast
// rule would open, the quorum is there. Beside it, one sick replica of ten that makes most of the calls, for which it
// must not be, though the others are heard rarely and fail at 5 %.
func TestQuorumOfAFleet(t *testing.T) {
	const fleets = 500
	late, wrong := 0, 0
	for seed := range uint64(fleets) {
		r := rand.New(rand.NewPCG(seed, 0))
		s := NewSketch(0, 0)
		outage := 60*second + r.Int64N(DefaultCell)
		now := int64(0)
		until := func(end int64) bool {
			for now < end {
				bad := uint32(0)
				if now >= outage {
					bad = 1
				}
				s.Add(now, r.Uint64N(100)+1, "", 1, bad)
				now += int64(r.ExpFloat64() * 1e9 / 20)
			}
			met, _ := Quorum(s.Hosts(end))
			return met
		}
		require.False(t, until(outage), "seed %d: before", seed)
		if !until(outage + 2*second) {
			late++
		}
		require.True(t, until(outage+3*second), "seed %d: 3 s after", seed)

		s = NewSketch(0, 0)
		for now = 0; now < 60*second; now += int64(r.ExpFloat64() * 1e9 / 40) {
			// Nine replicas make 1 call a second each, the sick one the other 31.
			key, bad := r.Uint64N(40)+1, uint32(0)
			if key > 9 {
				key, bad = 10, 1
			} else if r.IntN(20) == 0 {
				bad = 1
			}
			s.Add(now, key, fmt.Sprint(key), 1, bad)
		}
		if met, _ := Quorum(s.Hosts(now)); met {
			wrong++
			continue
		}
		require.Contains(t, Sick(s.Hosts(now)), "10", "seed %d", seed)
	}
	t.Logf("of %d: late %d, wrong %d", fleets, late, wrong)
	assert.LessOrEqual(t, late, fleets/50)
	assert.LessOrEqual(t, wrong, fleets/100)
}

func TestEject(t *testing.T) {
	tests := map[string]struct {
		hosts        []Count
		unknown      uint32 // failures whose instance is not known
		out          []uint64
		want         []string
		concentrated bool
	}{
		"H18: one of five":                     {counts(append(times(4, 20, 0), [2]uint32{20, 20})...), 0, nil, []string{"e"}, true},
		"the dead one of two":                  {counts([2]uint32{20, 0}, [2]uint32{20, 20}), 0, nil, []string{"b"}, true},
		"one host":                             {counts([2]uint32{20, 20}), 0, nil, nil, false},
		"all dead":                             {counts(times(5, 20, 20)...), 0, nil, nil, false},
		"at 98 % it is no outlier":             {counts(append(times(4, 100, 0), [2]uint32{100, 2})...), 0, nil, nil, false},
		"exactly half":                         {counts([2]uint32{20, 0}, [2]uint32{20, 10}), 0, nil, []string{"b"}, true},
		"too few calls":                        {counts(append(times(4, 20, 0), [2]uint32{4, 4})...), 0, nil, nil, false},
		"two of three: half may go, the worst": {counts([2]uint32{20, 12}, [2]uint32{20, 0}, [2]uint32{20, 20}), 0, nil, []string{"c"}, false},
		"failures that are not known count against it": {counts(append(times(4, 20, 0), [2]uint32{20, 20})...), 6, nil, []string{"e"}, false},
		"up to a fifth of all":                         {counts(append(times(4, 20, 0), [2]uint32{20, 20})...), 5, nil, []string{"e"}, true},
		"the others are no better than so-so":          {counts(append(times(4, 20, 6), [2]uint32{20, 20})...), 0, nil, nil, false},
		"it is out already":                            {counts(append(times(4, 20, 0), [2]uint32{20, 20})...), 0, []uint64{5}, nil, true},
		"one is out and silent, a second goes":         {counts(append(times(4, 20, 0), [2]uint32{20, 20})...), 0, []uint64{9}, []string{"e"}, true},
		"three are out of six, no more may go":         {counts(append(times(2, 20, 0), [2]uint32{20, 20})...), 0, []uint64{7, 8, 9}, nil, false},
		"nothing failed":                               {counts(times(5, 20, 0)...), 0, nil, nil, false},
		"nobody is known":                              {nil, 6, nil, nil, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg, total := DefaultEjection(), sumOf(tt.hosts)
			total.Bad, total.Calls = total.Bad+tt.unknown, total.Calls+tt.unknown
			got := Eject(&cfg, tt.hosts, total, tt.out)
			var names []string
			for _, h := range got.Hosts {
				names = append(names, h.Name)
			}
			assert.Equal(t, tt.want, names)
			assert.Equal(t, tt.concentrated, got.Concentrated)
		})
	}
}

// What is ejected fails, others are well, no more than half go (or one), and the order of hosts does not matter.
func TestEjectInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [2]uint32 {
			n := rapid.Uint32Range(0, 20).Draw(t, "calls")
			return [2]uint32{n, rapid.Uint32Range(0, n).Draw(t, "bad")}
		}), 0, 10).Draw(t, "hosts")
		in := counts(hosts...)
		cfg := DefaultEjection()
		got := Eject(&cfg, in, sumOf(in), nil)
		require.Equal(t, got, Eject(&cfg, rapid.Permutation(in).Draw(t, "other"), sumOf(in), nil))
		for _, h := range got.Hosts {
			require.True(t, h.failing())
			require.True(t, Poll(in).othersWell())
		}
		require.True(t, len(got.Hosts) <= 1 || 2*len(got.Hosts) <= len(in))
		require.True(t, !got.Concentrated || len(got.Hosts) > 0)
	})
}
