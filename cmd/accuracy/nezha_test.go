// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
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
	type least struct{ first, three int }
	for _, tt := range []struct {
		args []string
		want map[string]least
		most int // of train-ticket, right first
	}{
		{nil, map[string]least{"online-boutique": {16, 17}, "train-ticket": {20, 22}}, 24},
		{[]string{"-places=false", "-only=nezha-tt"}, map[string]least{"train-ticket": {18, 20}}, 24},
		{[]string{"-joined=false", "-only=nezha-tt"}, map[string]least{"train-ticket": {14, 16}}, 24},
		{[]string{"-logs=false", "-only=nezha-tt"}, map[string]least{"train-ticket": {11, 12}}, 16}, // logs do make a difference
	} {
		t.Run(fmt.Sprint(tt.args), func(t *testing.T) {
			d, _ := measure(t, append([]string{"-dataset", dir}, tt.args...)...)
			assert.GreaterOrEqual(t, len(d.Sets), len(tt.want))
			for _, s := range d.Sets {
				assert.GreaterOrEqual(t, s.Top1, tt.want[s.System].first, "%s, right first", s.System)
				assert.GreaterOrEqual(t, s.Top3, tt.want[s.System].three, "%s, right within three", s.System)
				if s.System == "train-ticket" {
					assert.LessOrEqual(t, s.Top1, tt.most)
				}
			}
		})
	}
}
