// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An incident that lasts is resolved as stale, measured from when it was opened; the next one of its root is not.
func TestStale(t *testing.T) {
	const second = int64(1e9)
	k := Keeper{Policy: Policy{Confidence: .4, Patience: 30 * second, UpdateEvery: 30 * second, ResolveAfter: 30 * second,
		ReopenWithin: 900 * second, MaxDuration: 600 * second}}
	verdicts := func(int64, []string) []Verdict {
		return []Verdict{{Root: "db", Score: .9, Ranked: []Ranked{{"db", .9}}}}
	}
	var got []Incident
	for now := 1000 * second; now < 2300*second; now += second {
		o := Observation{Now: now, Head: now, Alarm: true, Onset: 995 * second, Verdicts: verdicts,
			Health: func(*Incident) (int64, bool) { return now, false }}
		if in := one(t, k.Step(o)); in != nil && in.State != Updated {
			got = append(got, *in)
		}
	}
	require.Len(t, got, 5)
	for i, in := range got {
		assert.Equal(t, i%2 == 1, in.Stale)
		assert.Equal(t, got[0].ID, in.ID)
		if i%2 == 1 {
			assert.Equal(t, Resolved, in.State)
			assert.Equal(t, 600*second, in.Resolved-in.Detected)
		}
	}
	text, err := json.Marshal(got[1])
	require.NoError(t, err)
	assert.Contains(t, string(text), `"stale":true`)
	text, err = json.Marshal(got[0])
	require.NoError(t, err)
	assert.NotContains(t, string(text), "stale")
}
