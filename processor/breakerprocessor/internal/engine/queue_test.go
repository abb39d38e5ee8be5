// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestQueue(t *testing.T) {
	q := queue{limit: 2}
	_, ok := q.pop(100)
	assert.False(t, ok)
	assert.True(t, q.push(waiting{id(1), 10}))
	assert.True(t, q.push(waiting{id(2), 5}))
	assert.False(t, q.push(waiting{id(3), 5}), "full")
	_, ok = q.pop(9)
	assert.False(t, ok, "what settles faster waits for what came before")
	w, ok := q.pop(10)
	assert.Equal(t, waiting{id(1), 10}, w)
	assert.True(t, ok)
	assert.True(t, q.push(waiting{id(3), 20}))
	w, _ = q.pop(10)
	assert.Equal(t, id(2), [16]byte(w.id))
	q.clear()
	_, ok = q.pop(100)
	assert.False(t, ok)
	assert.True(t, q.push(waiting{id(4), 1}))
}

// First in, first out, never more than the limit, and no more memory than that takes.
func TestQueueOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := queue{limit: rapid.IntRange(1, 200).Draw(t, "limit")}
		var model []waiting
		for i := range rapid.IntRange(0, 2000).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "push") {
				w := waiting{id(uint64(i)), int64(i)}
				require.Equal(t, len(model) < q.limit, q.push(w))
				if len(model) < q.limit {
					model = append(model, w)
				}
			} else if w, ok := q.pop(1 << 62); ok {
				require.Equal(t, model[0], w)
				model = model[1:]
			} else {
				require.Empty(t, model)
			}
			require.LessOrEqual(t, len(q.items), 2*q.limit+65)
		}
	})
}
