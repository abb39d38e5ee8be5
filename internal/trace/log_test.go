// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestLog(t *testing.T) {
	l := NewLog(1, 10)
	spans, tags, seqs := l.Trace(ID{1}, nil, nil, nil)
	assert.Empty(t, spans)
	assert.Zero(t, l.Bytes(), "nothing came, nothing is held")
	assert.EqualValues(t, 1, l.Add(ID{1}, Span{ID: 7, End: 20}, 70))
	assert.EqualValues(t, 2, l.Add(ID{2}, Span{ID: 8, End: 5}, 80))
	assert.EqualValues(t, 3, l.Add(ID{1}, Span{ID: 6, End: 10}, 60))
	assert.EqualValues(t, 4, l.Add(ID{1}, Span{ID: 7, End: 20}, 71))
	spans, tags, seqs = l.Trace(ID{1}, spans, tags, seqs)
	assert.Equal(t, []Span{{ID: 6, End: 10}, {ID: 7, End: 20}}, spans, "in order of start, each once")
	assert.Equal(t, []uint32{60, 70}, tags, "of copies the first that came")
	assert.Equal(t, []uint64{3, 1}, seqs)
	spans, _, _ = l.Trace(ID{2}, spans, tags, seqs)
	assert.Len(t, spans, 3, "appended")
	spans, _, _ = l.Trace(ID{3}, nil, nil, nil)
	assert.Empty(t, spans)
}

func TestLogSize(t *testing.T) {
	assert.LessOrEqual(t, unsafe.Sizeof(logged{}), uintptr(64))
	for spans, want := range map[int]uint64{-1: 4096, 0: 4096, 4096: 4096, 4097: 8192, 100_000: 131_072, math.MaxInt: 1 << 31} {
		assert.Equal(t, want, NewLog(spans, 1).size, "%d", spans)
	}
	l := NewLog(1<<16, 1)
	l.Add(ID{1}, Span{}, 0)
	assert.Less(t, l.Bytes(), int64(1<<20), "of the 4 MB that it may come to")
	for i := range 3 << 16 {
		l.Add(ID{byte(i)}, Span{}, 0)
	}
	assert.Equal(t, 1<<16, l.Len())
	assert.Len(t, l.chunks, 16)
}

func TestLogLimit(t *testing.T) {
	l := NewLog(1, 10)
	for i := range uint64(11) {
		l.Add(ID{1}, Span{ID: i + 1}, 0)
		l.Add(ID{2}, Span{ID: i + 1}, 0)
	}
	spans, _, _ := l.Trace(ID{1}, nil, nil, nil)
	require.Len(t, spans, 10)
	assert.EqualValues(t, 2, spans[0].ID, "the first to come are left out")
	assert.EqualValues(t, 1, l.Cut())
}

// A trace without end that shares its chain with another is not followed to its end.
func TestLogHops(t *testing.T) {
	l := NewLog(1, 10)
	other := colliding(l, ID{1})
	l.Add(ID{1}, Span{ID: 1}, 0)
	for i := range uint64(30) {
		l.Add(other, Span{ID: i}, 0)
	}
	spans, _, _ := l.Trace(ID{1}, nil, nil, nil)
	assert.Len(t, spans, 1)
	assert.Zero(t, l.Cut())
	for i := range uint64(30) {
		l.Add(other, Span{ID: i}, 0)
	}
	spans, _, _ = l.Trace(ID{1}, nil, nil, nil)
	assert.Empty(t, spans)
	assert.EqualValues(t, 1, l.Cut())
}

// colliding finds another trace id with the hash of id.
func colliding(l *Log, id ID) ID {
	for i := uint64(1); ; i++ {
		var other ID
		binary.LittleEndian.PutUint64(other[8:], i)
		if other != id && l.hash(&other) == l.hash(&id) {
			return other
		}
	}
}

// The newest first, never more than are held, and no further than is asked for.
func TestLogNewest(t *testing.T) {
	l := NewLog(1, 1)
	var seen []int64
	see := func(most int) []int64 {
		seen = seen[:0]
		l.Newest(func(s *Span) bool {
			seen = append(seen, s.End)
			return len(seen) < most
		})
		return seen
	}
	assert.Empty(t, see(9))
	for i := range int64(5000) {
		l.Add(ID{1}, Span{End: i}, 0)
		require.Equal(t, i, see(1)[0])
	}
	assert.Equal(t, []int64{4999, 4998, 4997}, see(3))
	require.Len(t, see(9999), 4096)
	assert.EqualValues(t, 904, seen[4095])
}

// Against a plain list: whatever the traces, collisions, copies, wraps and the turn of 32 bits.
func TestLogIsAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := NewLog(1, rapid.SampledFrom([]int{3, 100, 10_000}).Draw(t, "most"))
		ids := []ID{{}, {1}, {2}, {0, 0, 0, 0, 0, 0, 0, 0, 9}}
		if l.most > 3 { // else Trace may give up
			ids = append(ids, colliding(l, ids[1]))
		}
		type item struct {
			id ID
			s  Span
		}
		var all []item
		add := func(id ID, s Span) {
			all = append(all, item{id, s})
			l.Add(id, s, uint32(s.ID))
		}
		first := uint64(0)
		if rapid.Bool().Draw(t, "near the turn") {
			first = 1<<32 - 5000
			l.seq = first
		}
		for range rapid.IntRange(1, 8).Draw(t, "runs") {
			for range rapid.SampledFrom([]int{0, 0, 900, int(l.size) - 40, int(l.size) - 10}).Draw(t, "filler") {
				var id ID
				binary.LittleEndian.PutUint64(id[:], uint64(len(all))|1<<40)
				add(id, Span{ID: 1})
			}
			for range rapid.IntRange(0, 30).Draw(t, "spans") {
				start := rapid.Int64Range(0, 5).Draw(t, "start")
				add(rapid.SampledFrom(ids).Draw(t, "trace"), NewSpan(Facts{ID: rapid.Uint64Range(1, 9).Draw(t, "id"), Start: start, End: start + int64(len(all))}))
			}
		}
		for _, id := range ids {
			got, tags, seqs := l.Trace(id, nil, nil, nil)
			var want []uint64
			for i := len(all) - 1; i >= max(0, len(all)-int(l.size)) && len(want) < l.most; i-- {
				if all[i].id == id {
					want = append(want, uint64(i))
				}
			}
			span := func(seq uint64) Span { return all[seq].s }
			slices.SortFunc(want, func(a, b uint64) int {
				x, y := span(a), span(b)
				return cmp.Or(cmp.Compare(x.Start(), y.Start()), cmp.Compare(x.ID, y.ID), cmp.Compare(a, b))
			})
			want = slices.CompactFunc(want, func(a, b uint64) bool {
				x, y := span(a), span(b)
				return x.Start() == y.Start() && x.ID == y.ID
			})
			require.Len(t, got, len(want))
			for i := range want {
				require.Equal(t, span(want[i]), got[i])
				require.EqualValues(t, got[i].ID, tags[i])
				require.Equal(t, first+want[i]+1, seqs[i])
			}
		}
	})
}

func TestLogReusesMemory(t *testing.T) {
	l := NewLog(1, 100)
	for i := range 5000 {
		l.Add(ID{byte(i)}, Span{ID: uint64(i)}, 0)
	}
	spans, tags, seqs := l.Trace(ID{1}, nil, nil, nil)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		l.Add(ID{1}, Span{}, 0)
		spans, tags, seqs = l.Trace(ID{1}, spans[:0], tags[:0], seqs[:0])
	}))
}

func BenchmarkLogAdd(b *testing.B) {
	l := NewLog(1<<18, 1000)
	var id ID
	x := uint64(1)
	for i := range 1 << 18 {
		binary.LittleEndian.PutUint64(id[:], uint64(i))
		l.Add(id, Span{}, 0)
	}
	b.ReportAllocs()
	for i := range b.N {
		if i%10 == 0 {
			x = x*6364136223846793005 + 1442695040888963407
			binary.LittleEndian.PutUint64(id[:], x)
		}
		l.Add(id, Span{ID: x}, 1)
	}
}

// A trace of ten spans among a quarter of a million.
func BenchmarkLogTrace(b *testing.B) {
	l := NewLog(1<<18, 1000)
	var id ID
	for i := range uint64(1 << 18) {
		binary.LittleEndian.PutUint64(id[:], i%26_000)
		l.Add(id, Span{ID: i, End: int64(i)}, 0)
	}
	var spans []Span
	var tags []uint32
	var seqs []uint64
	b.ReportAllocs()
	for i := range b.N {
		binary.LittleEndian.PutUint64(id[:], uint64(i)*7919%26_000)
		spans, tags, seqs = l.Trace(id, spans[:0], tags[:0], seqs[:0])
	}
}
