// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// Failures are kept, and of 100 calls that go well one: 2 % of one instance's calls fail, which is not half.
func TestInstancesByWeight(t *testing.T) {
	s := newScene(t, nil)
	round := func(bad bool) func(int) {
		return func(int) {
			for k := range 10 {
				s.call("orders", fmt.Sprintf("o%d", k), "stock", false).TraceState().FromRaw("ot=th:fd70a4")
			}
			for range 2 {
				if bad {
					s.call("orders", "o0", "stock", true)
				}
			}
		}
	}
	s.every(100*time.Millisecond, time.Minute, round(false))
	s.every(100*time.Millisecond, 20*time.Second, round(true))
	assert.Empty(t, s.told("", "orders->stock"))
}
