// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

// Batch is one ptrace.Traces as plain facts. It is reused from batch to batch; its strings are
// valid until the telemetry is handed on. A Batch is used by one goroutine at a time.
type Batch struct {
	Resources []Resource // one for each ResourceSpans, in their order
	Calls     []Call
	Skipped   [NumSkips]int // by Skip; what is found on a resource counts once
	links     []Link
	raw       raw
	names     names
}

// Reset empties the batch and lets go of the telemetry it was read from; the room is kept.
func (b *Batch) Reset() {
	clear(b.Resources)
	clear(b.Calls)
	b.Resources, b.Calls, b.links = b.Resources[:0], b.Calls[:0], b.links[:0]
	b.Skipped = [NumSkips]int{}
	b.raw = raw{}
}
