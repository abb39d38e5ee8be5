// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestNezha is a regression test on labelled real incidents, which lie outside the repository. It says what
// must not get worse; docs/accuracy.md says what it is.
func TestNezha(t *testing.T) {
	dir := os.Getenv("FIREBREAK_NEZHA")
	if dir == "" {
		dir = "../../../shared/datasets/nezha"
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("SKIPPED, nothing was measured: the data set is not there (%v); FIREBREAK_NEZHA=folder says where it is", err)
	}
	if testing.Short() {
		t.Skip("SKIPPED, nothing was measured: short")
	}
	want := map[string]struct{ first, three int }{
		"online-boutique": {16, 17},
		"train-ticket":    {20, 22},
	}
	d, _ := measure(t, "-dataset", dir)
	assert.Len(t, d.Sets, len(want))
	for _, s := range d.Sets {
		assert.GreaterOrEqual(t, s.Top1, want[s.System].first, "%s, right first", s.System)
		assert.GreaterOrEqual(t, s.Top3, want[s.System].three, "%s, right within three", s.System)
	}
}
