// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// The end of the warm-up is said once, and again when a defect has cost what was learned.
func TestReadinessIsSaid(t *testing.T) {
	r := newRig(t, 0).start()
	core, logs := observer.New(zap.InfoLevel)
	r.engine.logger = zap.New(core)
	said := func() int { return logs.FilterMessage("Enough was seen for verdicts").Len() }
	r.traffic(0, 20, false)
	assert.Zero(t, said())
	r.traffic(20, 60, false)
	assert.Equal(t, 1, said())
	r.engine.guarded(func() { panic("a defect") })
	r.traffic(60, 80, false)
	assert.Equal(t, 1, said())
	r.traffic(80, 120, false)
	assert.Equal(t, 2, said())
	r.stop()
}

// The record of an incident that lasted says so.
func TestStaleEvent(t *testing.T) {
	in := incident.Incident{State: incident.Resolved, Onset: dawn, Resolved: dawn + 3600*second, Verdict: incident.Verdict{Root: "shop/orders"}}
	assert.Contains(t, eventOf(&in, new(breakers)).Body, "is resolved")
	in.Stale = true
	ev := eventOf(&in, new(breakers))
	assert.Equal(t, "The incident with root cause shop/orders is stale: it has lasted for 1h0m0s, and what it is about is taken for normal from now on.", ev.Body)
	assert.Equal(t, eventResolved, ev.Name)
	require.Equal(t, in.Resolved, ev.Time)
	m := pcommon.NewMap()
	ev.Attributes(m)
	_, ok := m.Get(keyDuration)
	assert.True(t, ok)
}
