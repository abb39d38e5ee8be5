// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/firebreak-otel/firebreak/internal/replay"
)

// course is how a demo went.
type course struct {
	start, replay, stop time.Duration // of the collector; of the replay
	total               time.Duration // with reading the recording and the output
	warnings            []string      // of the collector, in its log: lost event records would be among them
}

// demo replays at full speed through a collector of its own and reports.
func demo(ctx context.Context, o options, inc *replay.Incident) error {
	fmt.Printf("Incident %s: %s\n", inc.Truth.Fault, inc.Truth.Description)
	files, err := outputFiles(o.out)
	if err != nil {
		return err
	}
	var t course
	begin := time.Now()
	c, err := startCollector(ctx, o.collector, o.config, files)
	if err != nil {
		return err
	}
	t.start = time.Since(begin)

	begin = time.Now()
	p := newProgress(os.Stdout, inc.SpanCount()+inc.LogCount(), 2*time.Second)
	if err := send(ctx, c.endpoint, inc, replay.Options{}, fullSpeed, p); err != nil {
		c.kill()
		return fmt.Errorf("replay: %w; the collector's own log is %s", err, files.collectorLog)
	}
	t.replay = time.Since(begin)

	begin = time.Now()
	if err := c.stop(); err != nil {
		return err
	}
	t.stop = time.Since(begin)
	t.warnings = c.warnings()

	fmt.Println("Reading what came out ...")
	got, err := readOutput(files)
	if err != nil {
		return err
	}
	j := judge(inc, got)
	t.total = time.Since(o.begin)
	w := bufio.NewWriter(os.Stdout)
	report(w, inc, got, j, t, files)
	if err := w.Flush(); err != nil {
		return err
	}
	if !j.right {
		return errWrong
	}
	return nil
}

// files of one demo.
type files struct {
	dir, traces, logs, collectorLog string
}

// outputFiles names the files in dir and removes those of an earlier run, so that none is taken for ours.
func outputFiles(dir string) (files, error) {
	f := files{
		dir:          dir,
		traces:       filepath.Join(dir, "traces.jsonl"),
		logs:         filepath.Join(dir, "logs.jsonl"),
		collectorLog: filepath.Join(dir, "collector.log"),
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return f, err
	}
	for _, path := range []string{f.traces, f.logs, f.collectorLog} {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return f, err
		}
	}
	return f, nil
}
