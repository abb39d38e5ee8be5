// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package recorder

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	queueLimit    = 1024            // requests: with seven services that export once a second, more than a minute
	exportTimeout = 5 * time.Second // of one request, and of all that is left at the end
)

// forward sends requests on to one endpoint, in the order in which they came. Nothing is sent twice, and the
// recording never waits for it.
type forward struct {
	to     string
	conn   *grpc.ClientConn
	queue  chan func(context.Context) error
	ending chan struct{}
	ended  chan struct{}

	sent, failed, dropped atomic.Int64
	why                   error // the first failure; valid once ended is closed
}

func newForward(to string) (*forward, error) {
	if _, _, err := net.SplitHostPort(to); err != nil {
		return nil, fmt.Errorf("forward to %q: %w", to, err)
	}
	conn, err := grpc.NewClient(to, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("forward to %s: %w", to, err)
	}
	f := &forward{
		to: to, conn: conn, queue: make(chan func(context.Context) error, queueLimit),
		ending: make(chan struct{}), ended: make(chan struct{}),
	}
	go f.run()
	return f, nil
}

func (f *forward) traces(td ptrace.Traces) {
	f.put(func(ctx context.Context) error {
		_, err := ptraceotlp.NewGRPCClient(f.conn).Export(ctx, ptraceotlp.NewExportRequestFromTraces(td))
		return err
	})
}

func (f *forward) logs(ld plog.Logs) {
	f.put(func(ctx context.Context) error {
		_, err := plogotlp.NewGRPCClient(f.conn).Export(ctx, plogotlp.NewExportRequestFromLogs(ld))
		return err
	})
}

func (f *forward) put(export func(context.Context) error) {
	select {
	case f.queue <- export:
	default:
		f.dropped.Add(1)
	}
}

func (f *forward) run() {
	defer close(f.ended)
	for {
		select {
		case export := <-f.queue:
			f.export(context.Background(), export)
		case <-f.ending:
			f.flush()
			return
		}
	}
}

// flush sends what is queued; what the time does not suffice for fails.
func (f *forward) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), exportTimeout)
	defer cancel()
	for {
		select {
		case export := <-f.queue:
			f.export(ctx, export)
		default:
			return
		}
	}
}

func (f *forward) export(ctx context.Context, export func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, exportTimeout)
	defer cancel()
	if err := export(ctx); err != nil {
		if f.failed.Add(1) == 1 {
			f.why = err
		}
		return
	}
	f.sent.Add(1)
}

// stop flushes; it is called once.
func (f *forward) stop() {
	close(f.ending)
	<-f.ended
	_ = f.conn.Close()
}

// report is one line for a person, once stopped.
func (f *forward) report() string {
	s := fmt.Sprintf("forwarded %d export requests to %s, %d failed, %d did not fit the queue", f.sent.Load(), f.to, f.failed.Load(), f.dropped.Load())
	if f.why != nil {
		s += fmt.Sprintf("; the first failure: %v", f.why)
	}
	return s
}
