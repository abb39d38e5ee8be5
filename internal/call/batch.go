// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import "go.opentelemetry.io/collector/pdata/ptrace"

// Batch is one ptrace.Traces as plain facts. It is reused from batch to batch; its strings are
// valid until the telemetry is handed on.
type Batch struct {
	Resources []Resource
	Calls     []Call
	Skipped   [NumSkips]int
	links     []Link
}

// Read replaces the batch's contents by the facts of td. It changes nothing in td.
func (b *Batch) Read(td ptrace.Traces) {
	_ = td
}
