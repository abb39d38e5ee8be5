// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package incident

// Merge takes over from another Keeper what k has none of: the open incident, the last one, the alarm that may become one.
func (k *Keeper) Merge(other *Keeper) {
	if k.open == nil {
		k.open = other.open
	}
	if k.last == nil {
		k.last = other.last
	}
	if k.alarm == 0 {
		k.alarm, k.leading = other.alarm, other.leading
	}
	k.looked = max(k.looked, other.looked)
}
