// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package truth

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func valid() Truth {
	at := time.Date(2026, 11, 1, 10, 0, 0, 123456789, time.UTC)
	return Truth{
		Fault: "postgres-lock", Description: "a lock", Target: "PostgreSQL", Broker: "kfake",
		Recorded: Span{at, at.Add(150 * time.Second)}, Injected: at.Add(75 * time.Second), Healed: at.Add(100 * time.Second),
		Verdict:  Verdict{Root: "postgresql/shop", Kind: "database"},
		Symptoms: []string{"shop/orders"}, Counts: Counts{Spans: 1, Logs: 2, Requests: 3, Failed: 4},
	}
}

func TestWriteAndRead(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, Write(dir, valid()))
	got, err := Read(dir)
	require.NoError(t, err)
	assert.Equal(t, valid(), got)
}

func TestReadRefusesUnknownKeys(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, Write(dir, valid()))
	path := filepath.Join(dir, File)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(b), "target:", "targets:", 1)), 0o600))
	_, err = Read(dir)
	require.ErrorContains(t, err, "targets")
}

func TestValidate(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(*Truth)
		want  string
	}{
		"as it is":             {func(*Truth) {}, ""},
		"silent":               {func(tr *Truth) { tr.Verdict, tr.Symptoms = Verdict{Silent: true}, nil }, ""},
		"no name":              {func(tr *Truth) { tr.Fault = "" }, "fault and description"},
		"healed first":         {func(tr *Truth) { tr.Healed = tr.Injected }, "times must be in order"},
		"ends before healed":   {func(tr *Truth) { tr.Recorded.To = tr.Healed }, "times must be in order"},
		"silent with a root":   {func(tr *Truth) { tr.Verdict.Silent = true }, "verdict.silent"},
		"no root":              {func(tr *Truth) { tr.Verdict.Root = "" }, "verdict.root"},
		"unknown kind":         {func(tr *Truth) { tr.Verdict.Kind = "db" }, `verdict.kind is "db"`},
		"guilty and a symptom": {func(tr *Truth) { tr.Symptoms = []string{"postgresql/shop"} }, "both root and symptom"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := valid()
			tt.spoil(&tr)
			if tt.want == "" {
				require.NoError(t, tr.Validate())
				return
			}
			require.ErrorContains(t, tr.Validate(), tt.want)
			require.Error(t, Write(t.TempDir(), tr))
		})
	}
}
