// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/snapshot"
)

// fill gives every field below v a value of its own that is not zero.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.String:
		v.SetString(string(rune('A' + *n%26)))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(float64(*n) / 3)
	case reflect.Uint8:
		v.SetUint(uint64(1 + *n%2))
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(int64(*n))
	default:
		panic("fill " + v.Kind().String() + " too")
	}
}

// Every field of an incident outlives a restart, those that its JSON form leaves out too.
func TestSnapshotIsWhole(t *testing.T) {
	k := Keeper{open: new(Incident), last: new(Incident), alarm: 4, looked: 5, leading: "orders"}
	n := 0
	fill(reflect.ValueOf(k.open).Elem(), &n)
	fill(reflect.ValueOf(k.last).Elem(), &n)
	k.last.State = Resolved
	w := snapshot.NewWriter(0)
	k.Snapshot(w)
	require.NoError(t, w.Err())
	var got Keeper
	r := snapshot.NewReader(w.Bytes())
	got.Snapshot(r)
	require.NoError(t, r.Err())
	assert.Equal(t, k, got)
}

func TestSnapshotRefuses(t *testing.T) {
	for _, text := range []string{"{", `{"state":3}`, `{"incident":{"onset":"x"}}`, `{"incident":{"onset":-1}}`} {
		w := snapshot.NewWriter(0)
		w.String(&text)
		r := snapshot.NewReader(w.Bytes())
		new(Keeper).Snapshot(r)
		require.ErrorIs(t, r.Err(), snapshot.ErrCorrupt, text)
	}
}

// An incident that nobody watched ends when it was last seen; the same trouble later is another one.
func TestLapse(t *testing.T) {
	k := Keeper{alarm: 3, leading: "x"}
	assert.Nil(t, k.Lapse(100))
	k.open = &Incident{ID: "a", State: Updated, Onset: 50}
	in := k.Lapse(100)
	require.NotNil(t, in)
	assert.Equal(t, Incident{ID: "a", State: Resolved, Onset: 50, Changed: 100, Resolved: 100}, *in)
	assert.Nil(t, k.Open())
	assert.Equal(t, *in, *k.last)
}
