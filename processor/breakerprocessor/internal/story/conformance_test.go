// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package story

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type conformanceCase struct {
	text, expect string
	answer       func(*drawing, *Story) any
}

// The telemetry cases that ask what a call means in its trace, drawn, and what the file says of them.
var conformance = map[string]conformanceCase{
	"H07": {
		`gateway serves 0-100 fail
		   gateway calls:orders 1-99 fail
		     orders serves 2-98 fail
		       orders calls:payments 3-97 fail
		         payments serves 4-96 fail
		           payments calls:db 5-95 timeout`,
		`{"charged": "payments->db", "propagated": ["gateway->orders", "orders->payments"]}`,
		func(d *drawing, s *Story) any {
			charged, propagated := "", []string{}
			for i, m := range s.Meanings {
				switch edge := d.names[d.spans[i].Op]; m.Verdict {
				case Charged:
					charged += edge
				case Propagated:
					propagated = append(propagated, edge)
				}
			}
			return map[string]any{"charged": charged, "propagated": propagated}
		},
	},
	"H08": {
		`parent serves 0-100 ok
		   parent calls:child 1-50 fail`,
		`{"propagated": false, "contained": true}`,
		func(_ *drawing, s *Story) any {
			return map[string]any{"propagated": s.Hurt[0].Failed, "contained": s.Meanings[1].Absorbed}
		},
	},
}

func TestConformance(t *testing.T) {
	for id, c := range conformance {
		t.Run(id, func(t *testing.T) { c.check(t, c.expect) })
	}
	name := os.Getenv("FIREBREAK_CONFORMANCE")
	if name == "" {
		return
	}
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	var file struct {
		Cases []struct {
			ID     string
			Expect json.RawMessage
		} `json:"telemetry_cases"`
	}
	require.NoError(t, json.Unmarshal(text, &file), name)
	for _, given := range file.Cases {
		if c, ok := conformance[given.ID]; ok {
			t.Run("given/"+given.ID, func(t *testing.T) { c.check(t, string(given.Expect)) })
		}
	}
}

func (c conformanceCase) check(t *testing.T, expect string) {
	d := draw(t, c.text)
	got, err := json.Marshal(c.answer(d, d.tell()))
	require.NoError(t, err)
	assert.JSONEq(t, expect, string(got))
}
