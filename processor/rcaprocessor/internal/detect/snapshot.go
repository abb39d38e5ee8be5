// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import "github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/snapshot"

// Snapshot writes the gate to c, or reads one from it.
func (g *Gate) Snapshot(c *snapshot.Codec) {
	used := *g != Gate{}
	if c.Bool(&used); !used {
		return
	}
	c.Float(&g.s)
	c.Time(&g.onset)
	c.Int(&g.bad)
	c.Int(&g.units)
	c.Float(&g.heal)
	c.Time(&g.bottom)
	c.Time(&g.recent)
	c.Bool(&g.opened)
}
