// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// telemetryCases are the cases of an observer's state machine, as they were given.
const telemetryCases = `{"telemetry_cases": [
	{"id": "H19", "given": {"rates": [0.5, 0.3, 0.15, 0.05]}, "expect": ["open", "open", "open", "closed"]},
	{"id": "H20", "given": {"observed_after_wait": {"calls": 200, "rate": 0.02}}, "expect": "closed"},
	{"id": "H21", "given": {"observed_after_wait": {"calls": 200, "rate": 0.6}}, "expect": "open (attempt+1)"},
	{"id": "H22", "given": {"observed_after_wait": {"calls": 0}}, "expect": "half_open"}
]}`

// The same, and those of a file that FIREBREAK_CONFORMANCE names.
func TestTelemetryCases(t *testing.T) {
	texts := map[string][]byte{"own": []byte(telemetryCases)}
	if name := os.Getenv("FIREBREAK_CONFORMANCE"); name != "" {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		texts["given"] = text
	}
	for label, text := range texts {
		var file struct {
			Cases []struct {
				ID            string
				Given, Expect json.RawMessage
			} `json:"telemetry_cases"`
		}
		require.NoError(t, json.Unmarshal(text, &file))
		ran := 0
		for _, c := range file.Cases {
			run := map[string]func(*testing.T, json.RawMessage, json.RawMessage){"H19": hysteresis, "H20": afterWait, "H21": afterWait, "H22": afterWait}[c.ID]
			if run != nil {
				ran++
				t.Run(label+"/"+c.ID, func(t *testing.T) { run(t, c.Given, c.Expect) })
			}
		}
		assert.Equal(t, 4, ran, label)
	}
}

// hysteresis drives an edge that nobody stops calling through the given failure ratios, a minute each.
func hysteresis(t *testing.T, given, expect json.RawMessage) {
	var in struct{ Rates []float64 }
	var want []string
	require.NoError(t, json.Unmarshal(given, &in))
	require.NoError(t, json.Unmarshal(expect, &want))
	w := newWorld(0)
	for i, rate := range in.Rates {
		from := int64(i) * 60 * second
		w.drive(from, from+60*second, func(at int64) bool {
			n := at / (second / 10) % 20 // of each twenty the first ones
			return float64(n) < rate*20
		})
		assert.Equal(t, want[i], w.State().String(), "at %v", rate)
	}
}

// afterWait lets so many calls be seen once the open time is over, while 10 a second are usual.
func afterWait(t *testing.T, given, expect json.RawMessage) {
	var in struct {
		After struct {
			Calls int
			Rate  float64
		} `json:"observed_after_wait"`
	}
	var want string
	require.NoError(t, json.Unmarshal(given, &in))
	require.NoError(t, json.Unmarshal(expect, &want))
	cfg := testConfig()
	cfg.OpenDuration = 20 * second
	b := New(cfg, 1, 0)
	tr, changed := b.Step(0, &Recent{Window: calls(200, 200), Fast: calls(40, 40), Expected: 10})
	require.True(t, changed)
	flows := calls(in.After.Calls, int(float64(in.After.Calls)*in.After.Rate))
	b.Call(1, flows)
	var told []Transition
	for now := tr.Until; now <= tr.Until+10*second; now += second {
		if now == tr.Until+second {
			b.Call(tr.Until, flows)
		}
		if tr, changed := b.Step(now, &Recent{Window: flows, Expected: 10}); changed {
			told = append(told, tr)
		}
	}
	state, further, _ := strings.Cut(want, " ")
	assert.Equal(t, state, b.State().String())
	if further != "" {
		assert.Equal(t, "(attempt+1)", further)
		assert.EqualValues(t, 1, b.Attempt())
		assert.Equal(t, 3*tr.Until, b.Until(), "twice as long")
		assert.Empty(t, told, "no flapping events")
	} else {
		assert.Len(t, told, 1)
	}
	if state == "half_open" {
		assert.Equal(t, 0.01, told[0].Admit, "with the share of the ramp")
	}
}
