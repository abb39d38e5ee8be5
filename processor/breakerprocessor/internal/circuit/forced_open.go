// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

// forcedOpen: calls are advised against until somebody says otherwise.
type forcedOpen struct{}

func (forcedOpen) name() State { return ForcedOpen }

func (forcedOpen) step(*Breaker, int64, Recent) (Transition, bool) { return Transition{}, false }

func (forcedOpen) call(int64, Sums) {}

func (forcedOpen) amend(int64, Sums, Sums) {}

func (forcedOpen) obedience(*Config, int64) (float64, bool) { return 0, false }

func (forcedOpen) admit(*Config) float64 { return 0 }

func (forcedOpen) move(int64) {}
