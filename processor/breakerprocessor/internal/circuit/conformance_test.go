// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit/conformance"
)

// Every case of ours, and of a file that FIREBREAK_CONFORMANCE names.
func TestConformance(t *testing.T) {
	files := map[string]string{"own": filepath.Join("..", "..", "testdata", "conformance.json")}
	if name := os.Getenv("FIREBREAK_CONFORMANCE"); name != "" {
		files["given"] = name
	}
	for label, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		cases, err := conformance.Parse(text)
		require.NoError(t, err, name)
		for _, c := range cases {
			t.Run(label+"/"+c.ID, func(t *testing.T) {
				gate, err := conformance.NewGate(&c.Config)
				require.NoError(t, err)
				assert.NoError(t, c.Run(gate), c.Title)
			})
		}
	}
}

// A case that is not met, or makes no sense, is no success.
func TestConformanceCanFail(t *testing.T) {
	step := func(text string) string {
		return `{"breaker_cases": [{"config": {"window": {"type": "count", "size": 2}, "consecutive_failures": 2, "half_open": {"policy": "all"}}, "steps": [` + text + `]}]}`
	}
	for text, want := range map[string]string{
		step(`{"do": "call", "outcome": "fail", "n": 2, "admitted": 2, "state": "open"}`):   "",
		step(`{"do": "call", "outcome": "fail", "n": 2, "admitted": 2, "state": "closed"}`): "step 1 (call fail): state is open, must be closed",
		step(`{"do": "call", "outcome": "ok", "n": 2, "admitted": 1}`):                      "step 1 (call ok): 2 admitted, must be 1",
		step(`{"do": "call", "outcome": "well"}`):                                           "no such outcome",
		step(`{"do": "acquire", "tag": "p"}, {"do": "finish", "tag": "q"}`):                 `1 calls are to finish, 0 are held as "q"`,
		step(`{"do": "acquire", "tag": "p"}, {"do": "finish", "tag": "p"}`):                 "no such outcome",
		step(`{"do": "force", "to": "ajar"}`):                                               "no such state",
		step(`{"do": "wait"}`):                                                              "no such step",
		`{"breaker_cases": []}`:                                                             "no breaker_cases",
		`[]`:                                                                                "cannot unmarshal",
		`{"breaker_cases": [{"config": {"window": {"type": "moon"}}}]}`:                     "no such window",
		`{"breaker_cases": [{"config": {"window": {"type": "time"}}}]}`:                     "no such half-open policy",
	} {
		cases, err := conformance.Parse([]byte(text))
		if err == nil {
			var gate *conformance.Gate
			if gate, err = conformance.NewGate(&cases[0].Config); err == nil {
				err = cases[0].Run(gate)
			}
		}
		if want == "" {
			assert.NoError(t, err)
		} else {
			assert.ErrorContains(t, err, want, text)
		}
	}
}
