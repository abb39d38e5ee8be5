// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package recorder

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// longestLine bounds one export request in JSON.
const longestLine = 64 << 20

// ReadTraces calls f with every request of a recording's traces, in order.
func ReadTraces(dir string, f func(ptrace.Traces) error) error {
	u := &ptrace.JSONUnmarshaler{}
	return ReadLines(filepath.Join(dir, TracesFile), func(line []byte) error {
		td, err := u.UnmarshalTraces(line)
		if err != nil {
			return err
		}
		return f(td)
	})
}

// ReadLogs calls f with every request of a recording's logs, in order.
func ReadLogs(dir string, f func(plog.Logs) error) error {
	u := &plog.JSONUnmarshaler{}
	return ReadLines(filepath.Join(dir, LogsFile), func(line []byte) error {
		ld, err := u.UnmarshalLogs(line)
		if err != nil {
			return err
		}
		return f(ld)
	})
}

// ReadLines calls f with every line of one file of a recording, in order. f
// must not keep the line.
func ReadLines(path string, f func([]byte) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	z, err := zstd.NewReader(file, zstd.WithDecoderMaxWindow(window))
	if err != nil {
		return err
	}
	defer z.Close()
	s := bufio.NewScanner(z)
	s.Buffer(make([]byte, 1<<20), longestLine)
	for n := 1; s.Scan(); n++ {
		if err := f(s.Bytes()); err != nil {
			return fmt.Errorf("%s line %d: %w", path, n, err)
		}
	}
	return s.Err()
}
