// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package peers puts the conformance cases to the breakers of other libraries, beside ours. A module of its own,
// so that who uses ours need not have theirs.
package peers
