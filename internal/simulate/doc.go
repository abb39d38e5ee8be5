// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package simulate is a discrete-event simulator of a system of services that talk by HTTP, gRPC, SQL, caches
// and topics. Nothing of a failure is painted: a fault slows, stops or breaks one thing, and queues, timeouts,
// retries and lag follow from the capacities of the others.
//
// A Scenario (Load) says what the system is, who uses it, what goes wrong when, and the truth that a verdict is
// judged by. New draws a topology from it by a seed, and Batches plays it: the telemetry as a collector would
// receive it, in order of arrival. Time is virtual; one seed gives the same bytes for ever.
package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"
