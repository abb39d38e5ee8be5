// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package contrast

// Every number that a verdict depends on, with its source. None was fitted on labelled data of ours; "sketch"
// is the experiment that the design rests on (shared design page, sections 1, 2.3 and 2.6).
const (
	// cellWidth of sums, minuteCells of them a cell of the baseline. Design 2.3.
	cellWidth   = 10 * second
	minuteCells = 6
	// ringMinutes is how far back a series reaches: an hour. Design 2.3. fineMinutes of them are kept by cells: the
	// longest window of a verdict, the quarantine before it, and as much for who asks a little later.
	ringMinutes = 60
	ringCells   = ringMinutes * minuteCells
	fineMinutes = 12
	// wholeCells: in a window of fewer cells the one that it begins in counts, too. Half a minute, within which a verdict
	// is due: what is normal in that cell weakens the evidence less than a few seconds less of the rest would.
	wholeCells = 3
	// quarantine: what ended less than this before the window is not taken for normal. Design 2.3.
	quarantine = 3 * 60 * second

	// The variance of a cell's mean of log(1+ms) is at least sampling^2/n + drift^2. Design 2.3 (sketch).
	sampling = 0.35
	drift    = 0.08
	// madSigma makes a median absolute deviation a standard deviation of a normal distribution. Textbook.
	madSigma = 1.4826
	// fullWeight: a minute with as many calls counts whole in a median. Design 2.3.
	fullWeight = 20
	// minCalls: a series says something by itself from here on. Design 2.3. Where a window holds fewer calls,
	// what they say together weighs less, down to leastCalls: one call is an anecdote.
	minCalls   = 5
	leastCalls = 2

	// significant is the z below which a deviation is no evidence. Design 2.6.
	significant = 3.0
	// usual and lapsed: a feature is expected where it showed in so many of the spans, and is missed when
	// its share falls below so much of that. Design 2.6.
	usual  = 0.3
	lapsed = 0.5
	// lowTail is the quantile of its own minutes below which a share must fall, too. Design 2.6.
	lowTail = 0.2
	// replaced: a foreign child that vanished is a call without an answer when the bare call came up in its
	// place in so many of the spans that lack it. Half: the majority.
	replaced = 0.5
	// coped is what a failure counts that a caller coped with, against one that reached whoever waits. Design 2.5.
	coped = 0.1
	// corroborating is the most that log lines say that do not find their spans: too little for a root to be named
	// (0.35) by themselves. Design 2.6, 2.7.
	corroborating = 0.3
	// oneReplica: so much of an increase makes it that of one replica. As in a verdict.
	oneReplica = 0.9
	// calleePrior: of the two ends of a slow edge the callee is the likelier. Design 2.6.
	calleePrior = 1.25

	// top is the most that one family can say of one node. Design 2.6.
	top = 0.95
	// scale of a family's strength, 1-exp(-S/scale): evidence of one z beyond the threshold over all of
	// end-to-end time says 63 %. The ranking was the same for any aggregator in the sketch.
	scale = 1.0

	// Bounds. Design 2.12.
	maxSeries   = 40_000
	maxFeatures = 64
	// plainFeatures of them may be log lines that are not grave, where there are many: children and failures find room.
	plainFeatures = 48
	// maxLines is how many templates of a node's log lines are told apart, plain and grave ones each; half of the grave
	// ones by replica. maxLineRows in all.
	maxLines    = 128
	maxLineRows = 16_384
)

const second = int64(1e9)
