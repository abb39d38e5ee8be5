// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

// disabled: whatever calls do, nothing follows until somebody says otherwise.
type disabled struct{}

func (disabled) name() State { return Disabled }

func (disabled) step(*Breaker, int64, Recent) (Transition, bool) { return Transition{}, false }

func (disabled) call(int64, Sums) {}

func (disabled) amend(int64, Sums, Sums) {}

func (disabled) obedience(*Config, int64) (float64, bool) { return 0, false }

func (disabled) admit(*Config) float64 { return 1 }

func (disabled) move(int64) {}
