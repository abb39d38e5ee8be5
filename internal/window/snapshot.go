// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package window

// Buckets returns the counts of the histogram's buckets, to be written down and read back.
func (h *Histogram) Buckets() *[HistogramBuckets]uint32 { return &h.counts }
