// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package detect

// Merge adds the evidence of a gate that saw other units of work of the same operation up to the same second: the log
// likelihood ratios of independent samples add up. Where both see more than noise, the earlier onset stands.
func (g *Gate) Merge(other *Gate) {
	switch mine, theirs := g.s > noise, other.s > noise; {
	case mine && theirs:
		g.onset = min(g.onset, other.onset)
	case theirs:
		g.onset = other.onset
	case !mine:
		g.onset = max(g.onset, other.onset)
	}
	g.s += other.s
	g.bad += other.bad
	g.units += other.units
	g.heal = min(g.heal+other.heal, healed)
	g.bottom, g.recent = max(g.bottom, other.bottom), max(g.recent, other.recent)
	g.opened = g.opened || other.opened
}
