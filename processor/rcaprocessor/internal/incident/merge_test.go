// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A Keeper keeps what it has, and takes over what it has not.
func TestMerge(t *testing.T) {
	mine, theirs := []*Incident{{ID: "mine"}}, []*Incident{{ID: "theirs"}}
	ours := []streak{{"mine", 1}}
	full := Keeper{open: theirs, past: theirs, alarm: 7, looked: 9, streaks: []streak{{"theirs", 2}}}
	for _, tt := range []struct {
		name       string
		have, want Keeper
	}{
		{"nothing", Keeper{}, full},
		{"an open incident", Keeper{open: mine}, Keeper{open: mine, past: theirs, alarm: 7, looked: 9, streaks: full.streaks}},
		{"all", Keeper{open: mine, past: mine, alarm: 3, looked: 10, streaks: ours}, Keeper{open: mine, past: mine, alarm: 3, looked: 10, streaks: ours}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.have.Policy.Margin, tt.want.Policy.Margin = .15, .15
			tt.have.Merge(&full)
			assert.Equal(t, tt.want, tt.have)
			before := tt.have
			tt.have.Merge(&Keeper{})
			assert.Equal(t, before, tt.have)
		})
	}
}
