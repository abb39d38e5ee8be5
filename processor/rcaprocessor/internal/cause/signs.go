// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package cause

import "github.com/firebreak-otel/firebreak/internal/call"

// Signs is what is known of a component that is held guilty. Where nothing is known a field is 0. A "now/normal" is the
// quotient of a rate or count in the window and normally: 1 is unchanged.
type Signs struct {
	Node call.NodeKind

	// Shares, 0..1, of the hurt units of work that it is blamed for, by what went wrong with them.
	Errors         float64
	Latency        float64 // took long, or timed out
	Unavailable    float64 // nobody answered
	Throttled      float64 // refused for being too many
	Saturation     float64 // stood in line for connections to a database
	DNS            float64 // the name was not found
	TLS            float64
	Auth           float64
	ClientRejected float64 // the callee refused what the caller sent
	Shed           float64 // refused by its own guard
	FanOut         float64 // made many more calls than usual
	Lag            float64 // records reached their consumers late
	Vanished       float64 // a usual call was not made any more
	FromTopic      float64 // came to it straight from a topic

	// Own time of that of its operations which strayed furthest: of calls to it where it emits no spans.
	OwnNow, OwnNormal int64   // typical, nanoseconds
	OwnZ              float64 // deviation of the mean log
	OwnSlow           float64 // share of slow ones, 0..1
	OwnSpread         float64 // standard deviation of the natural logs
	Failing           float64 // share of its calls that failed by its own doing, 0..1
	Ops, OpsOff       int     // operations seen in the window; those among them whose own time deviates
	Burst             float64 // variance of hurt calls a second over that of chance: 1 is spread evenly
	Calm              float64 // share of the seconds with calls in which none was hurt, 0..1
	Drift             bool    // own time has been growing since long before anybody was hurt
	InFlight          float64 // requests that one replica works on at a time (Little 1961); 0 where it emits no spans
	Recovered         bool    // own time strayed at first and is normal in the last 20 s, in which units of work were still hurt

	// What calls to it, and from it, took beyond the answers (the way, and queues before a request is read).
	GapNow, GapNormal     int64   // typical of the edge that strayed furthest of those to it, nanoseconds
	GapZ                  float64 // deviation of the mean log
	GapSlow               float64 // share of slow ones, 0..1
	GapSpread             float64 // standard deviation of the natural logs
	EdgesIn, EdgesInOff   int     // callers seen; those among them whose calls deviate
	EdgesOut, EdgesOutOff int     // the same of whom it calls

	// Now/normal.
	Rate     float64 // calls to it a second
	Entry    float64 // units of work a second where users come in
	Fan      float64 // calls that it makes per run of its operations
	PerRun   float64 // calls to it per run of its callers' operations
	Attempts float64 // attempts per logical call to it
	Publish  float64 // records that it publishes a second

	// What stands out from its likes.
	OneInstance, OneVersion, OneHost, OneZone bool
	NewVersion                                bool // a version of it was first seen from 10 min before the onset to 1 min after, beside an older one

	// Of a topic.
	LagNow, LagNormal          int64   // typical, nanoseconds
	Partition, PartitionNormal float64 // share of one partition in the messages, 0..1: the one with most now
	SlowAcks                   float64 // share of producers whose acknowledgements got slow, 0..1
	// Of a consumer: share of its failures on the one partition, or message, that has most, 0..1.
	Stuck float64
}

// gapped: the way to it, or a queue before it reads requests, takes the time, and its own is normal. Where own time
// strayed too, a queue is what follows from it.
func (s *Signs) gapped() bool { return s.GapZ >= strays && s.OwnZ < strays }

// ownSlow says that its own time strayed.
func (s *Signs) ownSlow() bool { return s.OwnZ >= strays }

// waits is the share of units of work that had to wait.
func (s *Signs) waits() float64 { return min(1, s.Latency+s.Saturation+s.Lag) }
