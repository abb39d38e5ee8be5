// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package incident

// Merge takes over from another Keeper what k has none of: open incidents, past ones, the alarm that may become one.
func (k *Keeper) Merge(other *Keeper) {
	if len(k.open) == 0 {
		k.open = other.open
	}
	if len(k.past) == 0 {
		k.past = other.past
	}
	if k.alarm == 0 {
		k.alarm, k.streaks = other.alarm, other.streaks
	}
	k.looked = max(k.looked, other.looked)
}
