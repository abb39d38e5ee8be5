// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/firebreak-otel/firebreak/internal/call"
)

// Ids that are made so that they would hash to 0 are ids as any other, and no match for an empty slot.
func TestHashIsNeverZero(t *testing.T) {
	w := warm(testSettings())
	for range 2 * seenSlots {
		w.record("orders", w.client(shopDB, call.OK))
	}
	c := w.client(shopDB, call.OK)
	c.TraceID = [16]byte{}
	binary.LittleEndian.PutUint64(c.TraceID[:8], c.SpanID*0x9e3779b97f4a7c15)
	_, result := w.record("orders", c)
	assert.Equal(t, Counted, result)
	assert.NotZero(t, hash(c.TraceID, c.SpanID))
}
