// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

// gateForcedOpen admits nothing until somebody says otherwise.
type gateForcedOpen struct{}

func (gateForcedOpen) name() State { return ForcedOpen }

func (gateForcedOpen) admit(*Gate, int64) bool { return false }

func (gateForcedOpen) record(*Gate, int64, int64, result) {}

// gateDisabled admits all and looks at none.
type gateDisabled struct{}

func (gateDisabled) name() State { return Disabled }

func (gateDisabled) admit(*Gate, int64) bool { return true }

func (gateDisabled) record(*Gate, int64, int64, result) {}

// gateMetricsOnly counts as if it were closed, and stays.
type gateMetricsOnly struct{ *gateClosed }

func (*gateMetricsOnly) name() State { return MetricsOnly }

func (m *gateMetricsOnly) record(_ *Gate, now, start int64, r result) {
	if start >= m.fence && r.outcome != Ignored {
		m.count(now, r)
	}
}
