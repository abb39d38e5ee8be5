// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../.."

// The pages in the repository are what the code says today.
func TestPagesAreUpToDate(t *testing.T) {
	pages, err := pagesOf(t.Context(), root)
	require.NoError(t, err)
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		require.NoError(t, err)
		assert.Equal(t, want, string(got), "%s differs from the code: make generate", name)
	}
}

// A recording in which nothing is wrong has no report.
func TestNoReportOfPeace(t *testing.T) {
	_, err := resolvedOf(t.Context(), filepath.Join(root, "testdata", "incidents", "surge"))
	assert.ErrorContains(t, err, "0 records")
}

func TestRunWritesThePages(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "docs"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "testdata"), 0o755))
	from, err := filepath.Abs(filepath.Join(root, "testdata", "incidents"))
	require.NoError(t, err)
	require.NoError(t, os.Symlink(from, filepath.Join(dir, "testdata", "incidents")))
	require.NoError(t, run(t.Context(), dir))
	for _, name := range []string{"attributes.md", "incident-report.md"} {
		text, err := os.ReadFile(filepath.Join(dir, "docs", name))
		require.NoError(t, err)
		assert.Contains(t, string(text), "rca.timeline")
	}
}
