// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package retry

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

// What each case asks is in its title alone: here it is done. The result goes through JSON, as the expected did.
var conformance = map[string]func() any{
	"G01": func() any { return paid(NewQuota(500), 5) },
	"G02": func() any {
		q := NewQuota(500)
		paid(q, 5)
		q.Give(4)
		four := q.Take(5)
		q.Give(1)
		return []bool{four, q.Take(5)}
	},
	"G03": func() any { return paid(NewQuota(500), 10) },
	"G04": func() any { return hits(NewThrottle(10, 0.1), 5) },
	"G05": func() any {
		t := NewThrottle(10, 0.1)
		hits(t, 5)
		for range 40 {
			t.Succeeded()
		}
		return hits(t, 3)
	},
	"G06": func() any {
		return []float64{Reject(100, 50, 2), math.Round(Reject(200, 50, 2)*1e4) / 1e4}
	},
	"G07": func() any {
		return map[string]any{"retry_outside": retryOutside(), "breaker_outside": breakerOutside()}
	},
	"G08": func() any {
		// One call runs, and retries beside it until one is refused.
		b, retries := Budget{Ratio: 0.2, Minimum: 3}, uint32(0)
		for b.Allow(1+retries, retries) {
			retries++
		}
		return 1 + retries
	},
	"G09": func() any {
		b := Budget{Ratio: 0.2, Minimum: 3}
		return []uint32{b.Limit(100), b.Limit(5)}
	},
	"G10": func() any { return Amplification(10, 90) },
	"G11": func() any {
		l := Join([]Attempt{{Start: 0, End: 10}, {Start: 10, End: 20}, {Start: 20, End: 30, OK: true}})
		return map[string]any{"attempts": l.Attempts, "retries": l.Retries, "logical": map[bool]string{true: "ok", false: "fail"}[l.OK]}
	},
	"G12": func() any {
		l := Join([]Attempt{{Start: 0, End: 10}, {Start: 5, End: 15}, {Start: 9, End: 30, OK: true}})
		return map[string]any{"attempts": l.Attempts, "retries": l.Retries}
	},
	"G13": func() any {
		// Overlapping, so that the times alone would say none.
		l := Join([]Attempt{{Start: 0, End: 10}, {Start: 5, End: 15, Resend: 1}, {Start: 9, End: 30, Resend: 2}})
		return map[string]any{"retries": l.Retries}
	},
}

func TestConformance(t *testing.T) {
	files := map[string]string{"own": filepath.Join("..", "..", "testdata", "conformance.json")}
	if name := os.Getenv("FIREBREAK_CONFORMANCE"); name != "" {
		files["given"] = name
	}
	for label, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		var file struct {
			Cases []struct {
				ID, Title string
				Expected  json.RawMessage
			} `json:"retry_cases"`
		}
		require.NoError(t, json.Unmarshal(text, &file), name)
		ran := 0
		for _, c := range file.Cases {
			t.Run(label+"/"+c.ID, func(t *testing.T) {
				t.Log(c.Title)
				do, ok := conformance[c.ID]
				if !ok {
					t.Skip("its title says nothing that is known here")
				}
				got, err := json.Marshal(do())
				require.NoError(t, err)
				assert.JSONEq(t, string(c.Expected), string(got))
				ran++
			})
		}
		if label == "own" {
			assert.Equal(t, len(conformance), ran)
		}
	}
}

// paid is how many retries of a cost a quota pays for.
func paid(q *Quota, cost uint32) (n int) {
	for q.Take(cost) {
		n++
	}
	return n
}

// hits is how many attempts each of n calls makes, of at most 2, when all fail.
func hits(t *Throttle, n int) (out []int) {
	for range n {
		attempts := 1
		if t.Failed() {
			attempts++
			t.Failed()
		}
		out = append(out, attempts)
	}
	return out
}

func newGate() *circuit.Gate {
	return circuit.NewGate(&circuit.GateConfig{ConsecutiveFailures: 3, Open: circuit.OpenTime{First: 60e9}}, 0, nil)
}

// retryOutside: up to 10 attempts, each of which asks the breaker.
func retryOutside() []any {
	g, calls := newGate(), 0
	for range 10 {
		if !g.Admit(0) {
			break
		}
		calls++
		g.Record(0, 0, circuit.Fail, 0)
	}
	return []any{calls, g.State().String()}
}

// breakerOutside: the breaker is asked once, and sees one failure of 10 attempts.
func breakerOutside() []any {
	g, calls := newGate(), 0
	if g.Admit(0) {
		for range 10 {
			calls++
		}
		g.Record(0, 0, circuit.Fail, 0)
	}
	return []any{calls, g.State().String()}
}
