// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"reflect"
	"slices"
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
	k := Keeper{alarm: 4, looked: 5}
	n := 0
	fill(reflect.ValueOf(&k.open).Elem(), &n)
	fill(reflect.ValueOf(&k.past).Elem(), &n)
	fill(reflect.ValueOf(&k.streaks).Elem(), &n)
	for f := range reflect.TypeFor[Keeper]().Fields() {
		require.Contains(t, []string{"Policy", "open", "past", "alarm", "looked", "streaks", "Beyond"}, f.Name, "fill it, and write it in snapshot.go")
	}
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
	for _, tt := range []struct {
		name  string
		write func(w *snapshot.Codec)
		want  error
	}{
		{"no JSON", func(w *snapshot.Codec) { incidents(w, "{") }, snapshot.ErrCorrupt},
		{"an impossible state", func(w *snapshot.Codec) { incidents(w, `{"state":3}`) }, snapshot.ErrCorrupt},
		{"a time that is none", func(w *snapshot.Codec) { incidents(w, `{"incident":{"onset":"x"}}`) }, snapshot.ErrCorrupt},
		{"a time before all", func(w *snapshot.Codec) { incidents(w, `{"incident":{"onset":-1}}`) }, snapshot.ErrCorrupt},
		{"health before all", func(w *snapshot.Codec) { incidents(w, `{"incident":{"last_bad":-1}}`) }, snapshot.ErrCorrupt},
		{"a change before all", func(w *snapshot.Codec) { withHistory(w, Change{At: -1}) }, snapshot.ErrCorrupt},
		{"a change to an impossible state", func(w *snapshot.Codec) { withHistory(w, Change{State: 3}) }, snapshot.ErrCorrupt},
		{"more changes than are remembered", func(w *snapshot.Codec) { withHistory(w, make([]Change, maxHistory+1)...) }, snapshot.ErrCorrupt},
		{"the second of two", func(w *snapshot.Codec) { incidents(w, `{}`, "{") }, snapshot.ErrCorrupt},
		{"it ends early", func(w *snapshot.Codec) { w.Count(1, 1, ""); incidents(w) }, snapshot.ErrCorrupt},
		{"more than can be open", func(w *snapshot.Codec) { incidents(w, slices.Repeat([]string{`{}`}, maxOpen+1)...) }, snapshot.ErrSettings},
		{"more than are remembered", func(w *snapshot.Codec) {
			incidents(w)
			incidents(w, slices.Repeat([]string{`{}`}, maxPast+1)...)
		}, snapshot.ErrSettings},
		{"more causes than there are", func(w *snapshot.Codec) {
			k := Keeper{streaks: make([]streak, maxStreaks+1)}
			k.Snapshot(w)
		}, snapshot.ErrSettings},
		{"a streak since before all", func(w *snapshot.Codec) {
			incidents(w)
			incidents(w)
			for _, n := range []int64{0, 0} { // alarm, looked
				w.Int(&n)
			}
			w.Count(1, maxStreaks, "causes")
			root, since := "a", int64(-1)
			w.String(&root)
			w.Int(&since)
		}, snapshot.ErrCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := snapshot.NewWriter(0)
			tt.write(w)
			r := snapshot.NewReader(w.Bytes())
			new(Keeper).Snapshot(r)
			require.ErrorIs(t, r.Err(), tt.want)
		})
	}
}

// withHistory writes a whole Keeper, with one incident.
func withHistory(w *snapshot.Codec, all ...Change) {
	k := Keeper{open: []*Incident{{History: all}}}
	k.Snapshot(w)
}

// incidents writes a list of them, each in any form.
func incidents(w *snapshot.Codec, all ...string) {
	w.Count(len(all), len(all), "incidents")
	for i := range all {
		w.String(&all[i])
	}
}

// Incidents that nobody watched end when they were last seen; the same trouble later is another one.
func TestLapse(t *testing.T) {
	k := Keeper{alarm: 3, looked: 4, streaks: []streak{{"x", 1}}}
	assert.Empty(t, k.Lapse(100))
	k.open = []*Incident{{ID: "a", State: Updated, Onset: 50}, {ID: "b", Onset: 60}}
	over := []Change{{At: 100, State: Resolved}}
	assert.Equal(t, []Incident{
		{ID: "a", State: Resolved, Onset: 50, Changed: 100, Resolved: 100, History: over},
		{ID: "b", State: Resolved, Onset: 60, Changed: 100, Resolved: 100, History: over},
	}, k.Lapse(100))
	assert.Empty(t, k.Open())
	assert.Zero(t, k.alarm+k.looked)
	assert.Empty(t, k.streaks)
	require.Len(t, k.past, 2)
	assert.Equal(t, "b", k.past[1].ID, "the latest last")
}
