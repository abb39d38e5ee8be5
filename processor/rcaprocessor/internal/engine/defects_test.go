// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// An incident that ended does not reopen on its old trouble while another is open.
func TestDoesNotReopenOnOldTrouble(t *testing.T) {
	opened := 0
	for _, in := range told(t, failingLogins(1, 30, 0, 80, 130)).of(ordersRoot) {
		if in.State == incident.Opened {
			opened++
		}
	}
	assert.Equal(t, 1, opened)
}

// What is hurt now and then all the time is no entry of an incident: another one there does not keep it open.
func TestEndsByItsOwnEntries(t *testing.T) {
	p := told(t, failingLogins(1, 30, 20, 50, 130))
	orders, logins := p.of(ordersRoot), p.of(accountsRoot)
	assert.Equal(t, []string{"shop/gateway /order"}, orders[0].Verdict.Entries)
	assert.InDelta(t, dawn+2*minute+60*second, orders[len(orders)-1].Resolved, float64(2*second))
	assert.InDelta(t, dawn+2*minute+20*second, logins[0].Onset, float64(3*second))
}
