// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLoadSaysWhatIsWrongAndWhere(t *testing.T) {
	const head = "base: base.yaml\nname: x\n"
	const truth = "truth: {silent: true}\n"
	tests := []struct{ name, text, err string }{
		{"a misspelt key", head + truth + "faluts: []\n", "line 4: field faluts not found"},
		{"a misspelt key deep down", head + truth + "faults:\n  - {kind: slow, target: search, factro: 2}\n", "line 5: field factro not found"},
		{"no truth", head, "truth: must be given"},
		{"two truths", head + "truth: {silent: true, unknown: true}\n", "truth: must be one of"},
		{"no name", "base: base.yaml\nname: \"\"\n" + truth, "name: must be given"},
		{"an unknown kind", head + truth + "faults: [{kind: gremlins, target: search}]\n", `faults[0].kind: "gremlins" is none of auth, broker`},
		{"an unknown target", head + truth + "faults: [{kind: slow, target: serach, factor: 2}]\n", `faults[0].target: nothing is named "serach"`},
		{"a key missing", head + truth + "faults: [{kind: slow, target: search}]\n", "faults[0].factor: a fault of kind slow needs it"},
		{"a target of the wrong sort", head + truth + "faults: [{kind: lock, target: search}]\n", "faults[0].target: a fault of kind lock needs a database"},
		{"an end before its beginning", head + truth + "faults: [{kind: slow, target: search, factor: 2, from: 9s, to: 3s}]\n", "faults[0].to: is not after from"},
		{"an unknown callee", head + truth + "system: {services: {search: {operations: {GET /query: [{call: nobody, op: x}]}}}}\n",
			`system.services.search.operations.GET /query[0].call: no service and no external party is named "nobody"`},
		{"an unknown operation", head + truth + "system: {services: {search: {operations: {GET /query: [{call: catalog, op: x}]}}}}\n", `catalog has no operation "x"`},
		{"a step of two kinds", head + truth + "system: {services: {search: {operations: {GET /query: [{call: catalog, db: x}]}}}}\n", "this has 2: call, db"},
		{"an empty step", head + truth + "system: {services: {search: {operations: {GET /query: [{timeout: 1s}]}}}}\n", "this has 0"},
		{"an unknown pool", head + truth + "system: {services: {search: {pools: {x/y: {size: 1}}}}}\n", "pools.x/y: no such database"},
		{"an unknown entry", head + truth + "load: {entry: nobody, mix: null}\n", `load.entry: no service is named "nobody"`},
		{"a duration without a unit", head + truth + "warmup: 5\n", "cannot unmarshal"},
		{"a circle", "base: scenario.yaml\nname: x\n" + truth, "more than 8 files build on one another"},
		{"nothing", "", "the file is empty"},
		{"no base", "base: absent.yaml\nname: x\n" + truth, "absent.yaml"},
		{"a severity that is none", head + truth + "axes: {severity: [harsh]}\n", `axes.severity[0]: "harsh" is none of full, mild`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, tt.text)
			_, err := Load(path)
			require.ErrorContains(t, err, tt.err)
			assert.ErrorContains(t, err, path, "the file is named")
		})
	}
	_, err := Load(filepath.Join(t.TempDir(), "absent.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestOverlay(t *testing.T) {
	sc := shop(t, `
system:
  services:
    search: {workers: 5}
    recommendations: null
    catalog: {operations: {"GET /items/{id}": [{work: 1ms}]}}
load: {mix: {GET /find: 0.5}}
`)
	assert.Equal(t, 5, sc.System.Services["search"].Workers)
	assert.Len(t, sc.System.Services["search"].Operations["GET /query"], 4, "what is not named stays")
	assert.NotContains(t, sc.System.Services, "recommendations", "null takes away")
	assert.Len(t, sc.System.Services["catalog"].Operations["GET /items/{id}"], 1, "lists are replaced")
	assert.Equal(t, map[string]float64{"POST /buy": 0.4, "GET /product/{id}": 0.4, "GET /find": 0.5}, sc.Load.Mix)
}

func TestMildFaults(t *testing.T) {
	f := Fault{Factor: 100, Ratio: 0.9, Delay: time.Second, Size: 1, Rate: 5, Pause: time.Second}
	assert.Equal(t, f, f.softened())
	f.Mild = &Mild{Factor: 10, Ratio: 0.1, Delay: time.Millisecond, Size: 3, Rate: 2, Pause: time.Millisecond}
	got := f.softened()
	got.Mild = nil
	assert.Equal(t, Fault{Factor: 10, Ratio: 0.1, Delay: time.Millisecond, Size: 3, Rate: 2, Pause: time.Millisecond}, got)
}

func TestFaultsThatComeBack(t *testing.T) {
	sc := shop(t, "faults: [{kind: slow, target: search, factor: 2, from: 10s, to: 45s, every: 20s, for: 5s}]")
	s := start(t, sc, Axes{Warmup: time.Second}, 1)
	var on []int64
	was := false
	for len(s.agenda.heap) > 0 && s.now < s.end {
		e := s.agenda.pop()
		s.now = e.at
		e.do()
		if is := len(s.active["slow"]) > 0; is != was {
			was = is
			on = append(on, (s.now-s.zero)/1e9)
		}
	}
	assert.Equal(t, []int64{10, 15, 30, 35}, on)
}
