// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// values is one of each kind.
type values struct {
	Int, Time int64
	Uint      uint32
	Byte      uint8
	Key       uint64
	Float     float64
	Bool      bool
	String    string
	Raw       [5]byte
	List      []uint16
}

func (v *values) pass(c *Codec) {
	c.Int(&v.Int)
	c.Time(&v.Time)
	Uint(c, &v.Uint, math.MaxUint32)
	Uint(c, &v.Byte, 9)
	c.Key(&v.Key)
	c.Float(&v.Float)
	c.Bool(&v.Bool)
	c.String(&v.String)
	c.Raw(v.Raw[:])
	n := c.Count(len(v.List), 6, "items")
	for i := range n {
		if c.Reading() {
			v.List = append(v.List, 0)
		}
		Uint(c, &v.List[i], math.MaxUint16)
	}
}

// What was written is read, and every beginning of it is refused.
func TestCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := values{
			Int: rapid.Int64().Draw(t, "int"), Time: rapid.Int64Range(0, MaxTime).Draw(t, "time"),
			Uint: rapid.Uint32().Draw(t, "uint"), Byte: rapid.Uint8Range(0, 9).Draw(t, "byte"),
			Key: rapid.Uint64().Draw(t, "key"), Float: rapid.Float64().Draw(t, "float"),
			Bool: rapid.Bool().Draw(t, "bool"), String: rapid.String().Draw(t, "string"),
			List: rapid.SliceOfN(rapid.Uint16(), 1, 6).Draw(t, "list"), Raw: [5]byte{1, 2, 3, 4, 5},
		}
		w := NewWriter(0)
		in.pass(w)
		require.NoError(t, w.Err())
		var out values
		r := NewReader(w.Bytes())
		out.pass(r)
		require.NoError(t, r.Err())
		require.Zero(t, r.Len())
		require.Equal(t, in, out)
		for n := range w.Len() {
			r := NewReader(w.Bytes()[:n])
			new(values).pass(r)
			require.ErrorIs(t, r.Err(), ErrCorrupt)
		}
	})
}

func TestCodecRefuses(t *testing.T) {
	written := func(f func(*Codec)) []byte {
		w := NewWriter(8)
		f(w)
		return w.Bytes()
	}
	number := func(n int64) []byte { return written(func(c *Codec) { c.Int(&n) }) }
	count := func(n uint64) []byte { return written(func(c *Codec) { Uint(c, &n, math.MaxUint64) }) }
	var b uint8
	var i int64
	var f float64
	var s string
	var yes bool
	for name, tt := range map[string]struct {
		bytes []byte
		read  func(*Codec)
		want  error
	}{
		"a negative time":         {number(-1), func(c *Codec) { c.Time(&i) }, ErrCorrupt},
		"a time too late":         {number(MaxTime + 1), func(c *Codec) { c.Time(&i) }, ErrCorrupt},
		"more than its limit":     {count(4), func(c *Codec) { Uint(c, &b, 3) }, ErrCorrupt},
		"more than its type":      {count(256), func(c *Codec) { Uint(c, &b, 255) }, ErrCorrupt},
		"an endless varint":       {bytes.Repeat([]byte{0xff}, 20), func(c *Codec) { c.Int(&i) }, ErrCorrupt},
		"not a number":            {written(func(c *Codec) { k := math.Float64bits(math.NaN()); c.Key(&k) }), func(c *Codec) { c.Float(&f) }, ErrCorrupt},
		"neither true nor false":  {count(2), func(c *Codec) { c.Bool(&yes) }, ErrCorrupt},
		"a string of a terabyte":  {count(1 << 40), func(c *Codec) { c.String(&s) }, ErrCorrupt},
		"a list beyond its bytes": {append(count(4), 1, 2, 3), func(c *Codec) { c.Count(0, 100, "items") }, ErrCorrupt},
		"a list beyond limits":    {append(count(4), 1, 2, 3, 4), func(c *Codec) { c.Count(0, 3, "items") }, ErrSettings},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReader(tt.bytes)
			tt.read(r)
			require.ErrorIs(t, r.Err(), tt.want)
			i = 7
			r.Int(&i)
			assert.Zero(t, i, "after an error it reads zeros")
		})
	}
	w := NewWriter(0)
	late := int64(math.MaxInt64)
	w.Time(&late)
	assert.Equal(t, int64(math.MaxInt64), late, "to write changes nothing")
	r := NewReader(w.Bytes())
	r.Time(&late)
	require.NoError(t, r.Err())
	assert.Equal(t, MaxTime, late)
}

func TestHeader(t *testing.T) {
	payload := []byte("payload")
	h := Header{Generation: 1, Chunks: 3, Size: uint64(len(payload)), Fingerprint: 5, Sum: Sum(payload)}
	b := h.Encode()
	require.Len(t, b, HeaderSize)
	got, err := DecodeHeader(b)
	require.NoError(t, err)
	assert.Equal(t, h, got)
	require.NoError(t, got.Check(payload))
	require.ErrorIs(t, got.Check(payload[1:]), ErrCorrupt)
	require.ErrorIs(t, got.Check([]byte("Payload")), ErrCorrupt)
	for i := range b {
		broken := bytes.Clone(b)
		broken[i] ^= 0x40
		_, err := DecodeHeader(broken)
		want := ErrCorrupt
		if i == 8 || i == 9 {
			want = ErrVersion
		}
		require.ErrorIs(t, err, want, "byte %d", i)
		_, err = DecodeHeader(b[:i])
		require.ErrorIs(t, err, ErrCorrupt, "cut at %d", i)
	}
	_, err = DecodeHeader(append(b, 0))
	require.ErrorIs(t, err, ErrCorrupt)
}

func FuzzHeader(f *testing.F) {
	f.Add(Header{Chunks: 1}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := DecodeHeader(b); err == nil && b[11] == 0 {
			require.Equal(t, b, h.Encode())
		}
	})
}
