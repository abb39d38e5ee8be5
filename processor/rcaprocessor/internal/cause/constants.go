// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package cause

// Where no other source is named, numbers were fitted on the scenarios of testdata/scenarios at 20 traces a second.
const (
	// strays: a time has left normal; the threshold of the evidence families of the design page (z - 3, and one for
	// the several operations among which the furthest is taken).
	strays = 4.0
	// amplified: attempts per logical call at which retries keep an overload up (design page, saturation).
	amplified = 1.5
	// surged: a flow has grown by so much that it may be the cause.
	surged = 1.4
	// many: a fan-out that changed what a service does.
	many = 1.8
	// steady: a time added by the way is the same for all; the log-deviation of a queue's waits is wider.
	steady = 0.45
	// some: less than this share of slow calls is trouble with some of them, not with all.
	some = 0.7
	// mute: of so many calls without an answer, all of which took alike long, none was going to have one.
	mute, alike = 0.75, 0.3
	// apart: the log-deviation of own times, some as always and some far slower, or after waits of all lengths.
	apart = 1.2
	// even and bursts: hurt calls a second that vary as by chance, and more than that.
	even, bursts = 0.8, 1.2
	// idle and busy: a replica at work on so few requests at a time can have no queue before it, from so many on it may.
	idle, busy = 0.25, 0.5
)

// Specificity of rows: the more a sign says of the cause, the more it outweighs a general one.
const (
	said      = 1.0  // the error names it
	group     = 0.95 // what the hurt have in common
	history   = 0.9  // what changed, and when
	mechanism = 0.7
	general   = 0.5
)

// least is the score below which nothing is said.
const least = 0.1
