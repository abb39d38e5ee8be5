// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const second = int64(1e9)

type event struct {
	at        int64
	key       uint64
	calls     uint32
	bad, back uint32 // back of bad are taken back
}

func (e event) to(s *Sketch) {
	s.Add(e.at, e.key, fmt.Sprint("pod-", e.key), e.calls, e.bad)
	if e.back > 0 {
		s.Amend(e.at, e.key, -int32(e.back))
	}
}

func events(t *rapid.T, keys uint64, cells int64) []event {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) event {
		calls := rapid.Uint32Range(1, 9).Draw(t, "calls")
		bad := rapid.Uint32Range(0, calls).Draw(t, "bad")
		return event{
			rapid.Int64Range(-1, cells-1).Draw(t, "cell")*second + rapid.Int64Range(0, second-1).Draw(t, "at"),
			rapid.Uint64Range(0, keys).Draw(t, "key"),
			calls, bad, rapid.Uint32Range(0, bad).Draw(t, "back"),
		}
	}), 0, 60).Draw(t, "events")
}

// model counts by a plain map: what is in the newest cell and the one before it, and of that the K smallest hashes.
func model(k int, all []event) (hosts map[uint64]Count, total Count, distinct int) {
	head := int64(math.MinInt64)
	for _, e := range all {
		head = max(head, (e.at+second)/second-1)
	}
	hosts = map[uint64]Count{}
	for _, e := range all {
		if (e.at+second)/second-1 < head-1 {
			continue
		}
		total.Calls, total.Bad, total.Deeper = total.Calls+e.calls, total.Bad+e.bad, total.Deeper+e.back
		if e.key == 0 {
			continue
		}
		c := hosts[e.key]
		hosts[e.key] = Count{e.key, fmt.Sprint("pod-", e.key), c.Calls + e.calls, c.Bad + e.bad, c.Deeper + e.back}
	}
	distinct = len(hosts)
	for len(hosts) > k {
		largest := uint64(0)
		for key := range hosts {
			if mix(key) > mix(largest) {
				largest = key
			}
		}
		delete(hosts, largest)
	}
	return hosts, total, distinct
}

// What a sketch says is what a map of all instances says of those with the smallest hashes, whatever the order in
// which calls come, and in however many sketches.
func TestSketchIsItsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := events(t, 24, 4)
		k := rapid.IntRange(2, 8).Draw(t, "k")
		shuffled := rapid.Permutation(all).Draw(t, "shuffled")
		one, other, part := NewSketch(k, second), NewSketch(k, second), NewSketch(k, second)
		cut := rapid.IntRange(0, len(all)).Draw(t, "cut")
		head := int64(-second)
		for i, e := range all {
			e.to(&one)
			head = max(head, e.at)
			if shuffled[i].to(&other); i < cut {
				all[i].to(&part)
			}
		}
		rest := NewSketch(k, second)
		for _, e := range all[cut:] {
			e.to(&rest)
		}
		part.Merge(&rest)
		hosts, total, distinct := model(k, all)
		for name, s := range map[string]*Sketch{"in order": &one, "shuffled": &other, "merged": &part} {
			got := s.Hosts(head)
			require.Len(t, got, len(hosts), name)
			for i, c := range got {
				require.Equal(t, hosts[c.Key], c, name)
				require.True(t, i == 0 || mix(got[i-1].Key) < mix(c.Key), name)
			}
			require.Equal(t, total, s.Total(head), name)
			require.Equal(t, one.Distinct(head), s.Distinct(head), name)
			if distinct <= k {
				require.Equal(t, distinct, s.Distinct(head), name)
			} else {
				require.GreaterOrEqual(t, s.Distinct(head), k, name)
			}
			require.LessOrEqual(t, len(s.hosts), 2*k, name)
		}
	})
}

func TestSketchTime(t *testing.T) {
	s := NewSketch(4, second)
	assert.Empty(t, s.Hosts(0))
	assert.False(t, s.Amend(0, 1, -1), "nothing was counted yet")
	require.True(t, s.Add(10*second, 1, "a", 2, 1))
	assert.Equal(t, []Count{{1, "a", 2, 1, 0}}, s.Hosts(11*second), "the cell before")
	assert.Empty(t, s.Hosts(12*second), "and no older, though nothing came")
	assert.Zero(t, s.Distinct(12*second))
	assert.True(t, s.Add(9*second, 2, "b", 1, 0), "late, in the cell before")
	assert.False(t, s.Add(9*second-1, 2, "b", 1, 0), "too late")
	assert.False(t, s.Amend(11*second, 1, -1), "not yet counted")
	require.True(t, s.Add(11*second, 3, "c", 1, 1))
	assert.False(t, s.Amend(9*second, 2, 1), "forgotten")
	assert.Equal(t, 2, s.Distinct(11*second), "b is gone")
	require.True(t, s.Add(20*second, 3, "c", 1, 1))
	assert.Equal(t, []Count{{3, "c", 1, 1, 0}}, s.Hosts(20*second), "a gap forgets both cells")
	s.Reset()
	assert.Empty(t, s.Hosts(20*second))
	assert.True(t, s.Add(0, 3, "c", 1, 1), "time begins anew")
}

func TestAmend(t *testing.T) {
	s := NewSketch(4, second)
	s.Add(0, 1, "a", 4, 3)
	assert.True(t, s.Amend(0, 1, -2))
	assert.Equal(t, []Count{{1, "a", 4, 3, 2}}, s.Hosts(0))
	assert.EqualValues(t, 1, s.Hosts(0)[0].Failed())
	assert.True(t, s.Amend(0, 1, 1))
	assert.Equal(t, []Count{{1, "a", 4, 4, 2}}, s.Hosts(0))
	assert.True(t, s.Amend(0, 9, -1), "an instance that is not kept")
	assert.EqualValues(t, 1, s.Total(0).Failed(), "is amended in the total")
	s.Amend(0, 1, math.MinInt32)
	assert.Zero(t, s.Hosts(0)[0].Failed(), "never below none")
	s.Amend(0, 1, math.MaxInt32)
	s.Amend(0, 1, math.MaxInt32)
	s.Amend(0, 1, math.MaxInt32)
	assert.EqualValues(t, 4, s.Hosts(0)[0].Failed(), "and never above all; counts saturate")
	s = NewSketch(4, second)
	s.Add(0, 1, "a", 1, 7)
	s.Add(0, 1, "a", 9, 0)
	assert.EqualValues(t, 1, s.Total(0).Failed(), "no more fail than there are")
}

func TestMergeIntoEmpty(t *testing.T) {
	full, into := NewSketch(4, second), NewSketch(4, second)
	for i := range uint64(100) {
		full.Add(0, i+1, "", 1, 0)
	}
	into.Merge(&full)
	assert.Greater(t, full.Distinct(0), 4)
	assert.Equal(t, full.Distinct(0), into.Distinct(0), "it knows that some were left out")
	assert.Equal(t, full.Hosts(0), into.Hosts(0))
}

// The estimate is off by a fifth, as the theory has it.
func TestDistinct(t *testing.T) {
	for _, n := range []int{33, 100, 1000, 20_000} {
		sum, square := 0.0, 0.0
		const runs = 40
		for run := range runs {
			s := NewSketch(0, 0)
			for i := range n {
				s.Add(0, uint64(run*n+i+1), "", 1, 0)
			}
			off := float64(s.Distinct(0))/float64(n) - 1
			sum, square = sum+off, square+off*off
		}
		assert.InDelta(t, 0, sum/runs, 0.12, "%d: bias", n)
		assert.Less(t, math.Sqrt(square/runs), 0.25, "%d: error", n)
	}
}

func TestSketchMemory(t *testing.T) {
	assert.LessOrEqual(t, unsafe.Sizeof(host{}), uintptr(48))
	assert.LessOrEqual(t, unsafe.Sizeof(Sketch{}), uintptr(88))
	s := NewSketch(32, second)
	assert.EqualValues(t, unsafe.Sizeof(s), s.Bytes())
	long := "x" + strings.Repeat("ä", 1<<16)
	for i := range uint64(100_000) {
		s.Add(int64(i)*second/1000, i+1, long, 1, 0)
		require.LessOrEqual(t, len(s.hosts), 64)
	}
	assert.LessOrEqual(t, s.Bytes(), 88+64*2*48+64*MaxName)
	for _, h := range s.Hosts(100 * second) {
		assert.Equal(t, "x"+strings.Repeat("ä", 63), h.Name, "cut between letters")
	}
}

func TestSketchAllocates(t *testing.T) {
	s := NewSketch(0, 0)
	for i := range uint64(100) {
		s.Add(0, i+1, "pod", 1, 0)
	}
	key := uint64(0)
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		key = key%100 + 1
		s.Add(1, key, "pod", 1, 1)
	}))
}

func TestMix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.Uint64().Draw(t, "key")
		require.Equal(t, key, unmix(mix(key)))
	})
}

func TestName(t *testing.T) {
	for name, want := range map[string]int{"": 0, "a": 1, strings.Repeat("a", 128): 128, strings.Repeat("a", 129): 128, strings.Repeat("\x80", 300): 0} {
		assert.Len(t, cut(name), want)
	}
}

func BenchmarkAdd(b *testing.B) {
	for _, n := range []uint64{1, 5, 32, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := NewSketch(0, 0)
			b.ReportAllocs()
			for i := range uint64(b.N) {
				s.Add(int64(i)*1e5, i%n*2654435761+1, "pod", 1, 0)
			}
		})
	}
}
