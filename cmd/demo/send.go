// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/collector/pipeline"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/firebreak-otel/firebreak/internal/replay"
)

// pace blocks until a batch may be sent.
type pace func(ctx context.Context, b *replay.Batch) error

func fullSpeed(context.Context, *replay.Batch) error { return nil }

// send replays inc to endpoint, one request at a time: the answer to one is awaited before the next,
// so that the collector sees both signals in the order of the recording and sets the speed.
func send(ctx context.Context, endpoint string, inc *replay.Incident, o replay.Options, wait pace, p *progress) error {
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	traces, logs := ptraceotlp.NewGRPCClient(conn), plogotlp.NewGRPCClient(conn)
	for b := range inc.Batches(o) {
		if err := wait(ctx, &b); err != nil {
			return err
		}
		if b.Signal == pipeline.SignalLogs {
			err = sendLogs(ctx, logs, &b)
		} else {
			err = sendTraces(ctx, traces, &b)
		}
		if err != nil {
			return err
		}
		p.add(b.Len())
	}
	p.done()
	return nil
}

func sendTraces(ctx context.Context, c ptraceotlp.GRPCClient, b *replay.Batch) error {
	resp, err := c.Export(ctx, ptraceotlp.NewExportRequestFromTraces(b.Traces))
	if err != nil {
		return err
	}
	if ps := resp.PartialSuccess(); ps.RejectedSpans() > 0 {
		return fmt.Errorf("the collector rejected %d of %d spans: %s", ps.RejectedSpans(), b.Len(), ps.ErrorMessage())
	}
	return nil
}

func sendLogs(ctx context.Context, c plogotlp.GRPCClient, b *replay.Batch) error {
	resp, err := c.Export(ctx, plogotlp.NewExportRequestFromLogs(b.Logs))
	if err != nil {
		return err
	}
	if ps := resp.PartialSuccess(); ps.RejectedLogRecords() > 0 {
		return fmt.Errorf("the collector rejected %d of %d log records: %s", ps.RejectedLogRecords(), b.Len(), ps.ErrorMessage())
	}
	return nil
}
