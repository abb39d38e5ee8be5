// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package replay plays a recorded incident again: as it was recorded, cut into other batches,
// in another order, or moved to another time.
//
// An incident is a directory:
//
//	traces.jsonl.zst  one OTLP/JSON ExportTraceServiceRequest a line, in the order of their arrival
//	logs.jsonl.zst    the same for logs; may be missing
//	truth.yaml        what was done, when, to what, and the right verdict (Truth)
//
// Traces and logs are two recordings, so nothing in them says how they lay to each other. A request
// cannot have been sent before its last item ended: that time is taken as its arrival, and both
// signals are merged by it, each in its own file's order. Event time so stays in step between them.
package replay // import "github.com/firebreak-otel/firebreak/internal/replay"
