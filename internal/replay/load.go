// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package replay // import "github.com/firebreak-otel/firebreak/internal/replay"

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// maxLine is the longest request accepted, in bytes; recorded batches stay far below.
const maxLine = 256 << 20

// Incident is a recording, read into memory.
type Incident struct {
	Truth  Truth
	Traces []ptrace.Traces // requests in the order of their arrival
	Logs   []plog.Logs     // requests in the order of their arrival
}

// Load reads the incident in dir.
func Load(dir string) (*Incident, error) {
	truth, err := LoadTruth(filepath.Join(dir, "truth.yaml"))
	if err != nil {
		return nil, err
	}
	traces, err := ReadTraces(filepath.Join(dir, "traces.jsonl.zst"))
	if err != nil {
		return nil, err
	}
	logs, err := ReadLogs(filepath.Join(dir, "logs.jsonl.zst"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return &Incident{Truth: truth, Traces: traces, Logs: logs}, nil
}

// SpanCount is the number of recorded spans.
func (i *Incident) SpanCount() int {
	n := 0
	for _, td := range i.Traces {
		n += td.SpanCount()
	}
	return n
}

// LogCount is the number of recorded log records.
func (i *Incident) LogCount() int {
	n := 0
	for _, ld := range i.Logs {
		n += ld.LogRecordCount()
	}
	return n
}

// ReadTraces reads a file of OTLP/JSON requests, one a line, as the Collector's file exporter writes it;
// one whose name ends in .zst is decompressed.
func ReadTraces(path string) ([]ptrace.Traces, error) {
	var u ptrace.JSONUnmarshaler
	return readLines(path, u.UnmarshalTraces)
}

// ReadLogs is ReadTraces for logs.
func ReadLogs(path string) ([]plog.Logs, error) {
	var u plog.JSONUnmarshaler
	return readLines(path, u.UnmarshalLogs)
}

func readLines[T any](path string, unmarshal func([]byte) (T, error)) ([]T, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read recorded telemetry: %w", err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".zst") {
		z, err := zstd.NewReader(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		defer z.Close()
		r = z
	}
	var out []T
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 1<<20), maxLine)
	n := 0
	for lines.Scan() {
		n++
		if len(lines.Bytes()) == 0 {
			continue
		}
		v, err := unmarshal(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("%s: line %d is no OTLP/JSON request: %w", path, n, err)
		}
		out = append(out, v)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: after line %d: %w", path, n, err)
	}
	return out, nil
}
