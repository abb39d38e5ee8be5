// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package recorder receives OTLP over gRPC and keeps it as the Collector's file
// exporter writes it: OTLP/JSON, one export request a line, in order of arrival.
package recorder

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
)

// Names of the files in a recording.
const (
	TracesFile = "traces.jsonl.zst"
	LogsFile   = "logs.jsonl.zst"
)

// window bounds what a reader has to hold: decoders commonly refuse more than
// 8 MiB.
const window = 8 << 20

// Recorder is an OTLP receiver that writes plain lines to a scratch directory
// while the shop runs, and compresses them when all is over: compressing well
// costs time that the shop must not miss.
type Recorder struct {
	scratch  string
	server   *grpc.Server
	listener net.Listener
	forwards []*forward
	stop     sync.Once

	mu           sync.Mutex
	on           bool
	traces, logs *lines
	spans, recs  int
	err          error
}

// lines is one plain file.
type lines struct {
	f *os.File
	w *bufio.Writer
}

// Start listens on a free loopback port. Nothing is kept before Record; all that arrives is sent on at once to the
// endpoints (host:port, OTLP over gRPC without TLS).
func Start(scratch string, endpoints ...string) (*Recorder, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Recorder{scratch: scratch, listener: l, server: grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))}
	if r.traces, err = newLines(filepath.Join(scratch, "traces.jsonl")); err != nil {
		return nil, err
	}
	if r.logs, err = newLines(filepath.Join(scratch, "logs.jsonl")); err != nil {
		return nil, err
	}
	for _, to := range endpoints {
		f, err := newForward(to)
		if err != nil {
			return nil, err
		}
		r.forwards = append(r.forwards, f)
	}
	ptraceotlp.RegisterGRPCServer(r.server, &traceServer{r: r})
	plogotlp.RegisterGRPCServer(r.server, &logServer{r: r})
	go func() { _ = r.server.Serve(l) }()
	return r, nil
}

// Endpoint is where services export to.
func (r *Recorder) Endpoint() string { return r.listener.Addr().String() }

// Record begins to keep what arrives.
func (r *Recorder) Record() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on = true
}

// Counts returns the spans and log records kept so far.
func (r *Recorder) Counts() (spans, logs int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.spans, r.recs
}

// Stop ends the receiver, and sends on what is left; it is safe to call twice.
func (r *Recorder) Stop() {
	r.server.Stop()
	r.stop.Do(func() {
		for _, f := range r.forwards {
			f.stop()
		}
	})
}

// Forwarded says for each endpoint how much it got, once stopped.
func (r *Recorder) Forwarded() []string {
	var lines []string
	for _, f := range r.forwards {
		lines = append(lines, f.report())
	}
	return lines
}

// Finish stops the receiver and writes the compressed recording to dir.
func (r *Recorder) Finish(dir string) error {
	r.Stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return fmt.Errorf("recording is incomplete: %w", r.err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(r.traces.compress(filepath.Join(dir, TracesFile)), r.logs.compress(filepath.Join(dir, LogsFile)))
}

func (r *Recorder) keepTraces(td ptrace.Traces) {
	line, err := (&ptrace.JSONMarshaler{}).MarshalTraces(td)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.on {
		return
	}
	r.spans += td.SpanCount()
	r.err = errors.Join(r.err, err, r.traces.write(line))
}

func (r *Recorder) keepLogs(ld plog.Logs) {
	line, err := (&plog.JSONMarshaler{}).MarshalLogs(ld)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.on {
		return
	}
	r.recs += ld.LogRecordCount()
	r.err = errors.Join(r.err, err, r.logs.write(line))
}

type traceServer struct {
	ptraceotlp.UnimplementedGRPCServer
	r *Recorder
}

func (s *traceServer) Export(_ context.Context, req ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	for _, f := range s.r.forwards {
		f.traces(req.Traces())
	}
	s.r.keepTraces(req.Traces())
	return ptraceotlp.NewExportResponse(), nil
}

type logServer struct {
	plogotlp.UnimplementedGRPCServer
	r *Recorder
}

func (s *logServer) Export(_ context.Context, req plogotlp.ExportRequest) (plogotlp.ExportResponse, error) {
	for _, f := range s.r.forwards {
		f.logs(req.Logs())
	}
	s.r.keepLogs(req.Logs())
	return plogotlp.NewExportResponse(), nil
}

func newLines(path string) (*lines, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &lines{f: f, w: bufio.NewWriterSize(f, 1<<16)}, nil
}

func (l *lines) write(line []byte) error {
	_, err := l.w.Write(line)
	return errors.Join(err, l.w.WriteByte('\n'))
}

func (l *lines) compress(path string) (err error) {
	if err := l.w.Flush(); err != nil {
		return err
	}
	if _, err := l.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close(), l.f.Close()) }()
	z, err := zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	if _, err := io.Copy(z, l.f); err != nil {
		return errors.Join(err, z.Close())
	}
	return z.Close()
}
