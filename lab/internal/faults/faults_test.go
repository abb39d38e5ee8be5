// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"testing"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/truth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every fault can be written down as a truth, once, and does something.
func TestFaultsAreWellFormed(t *testing.T) {
	seen := map[string]bool{}
	at := time.Unix(1_700_000_000, 0)
	for _, f := range All() {
		assert.False(t, seen[f.Name], "%s twice", f.Name)
		seen[f.Name] = true
		assert.NotNil(t, f.Inject, f.Name)
		assert.NotEmpty(t, f.Target, f.Name)
		require.NoError(t, truth.Truth{
			Fault: f.Name, Description: f.Description, Verdict: f.Verdict, Symptoms: f.Symptoms,
			Recorded: truth.Span{From: at, To: at.Add(3)}, Injected: at.Add(1), Healed: at.Add(2),
		}.Validate(), f.Name)
		got, err := Find(f.Name)
		require.NoError(t, err)
		assert.Equal(t, f.Name, got.Name)
	}
}

func TestFindNamesTheChoices(t *testing.T) {
	_, err := Find("postgres-lok")
	require.ErrorContains(t, err, "postgres-lock")
}
