// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package trace

// Told returns the second whose end Expire tells of next; 0 when no span has come yet.
func (t *Table) Told() int64 {
	if !t.begun {
		return 0
	}
	return t.told
}

// Resume has an empty table go on where another left off: seconds before told are over.
func (t *Table) Resume(told int64) { t.begun, t.told, t.from = true, told, told }
