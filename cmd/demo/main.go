// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Demo replays a recorded incident through a collector with breaker and rca in its pipelines, and
// prints what they made of it, beside what is known to have happened.
//
// It ends with 0 when the verdict is the recording's truth, with 1 when it is not, and with 2 when
// something kept it from finding out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/firebreak-otel/firebreak/internal/replay"
)

type options struct {
	incidents string // directory of the recordings
	incident  string // name of one
	collector string // binary
	config    string
	out       string // directory
	live      bool
	endpoint  string // for live
	begin     time.Time
}

// errWrong says that all worked but the verdict is not the truth.
var errWrong = errors.New("the verdict is not the recording's truth")

func main() {
	o := options{begin: time.Now()}
	flag.StringVar(&o.incidents, "incidents", filepath.Join("testdata", "incidents"), "`directory` of the recorded incidents")
	flag.StringVar(&o.incident, "incident", "postgres-lock", "`name` of the incident to replay")
	flag.StringVar(&o.collector, "collector", filepath.Join("bin", "otelcol-custom"), "collector `binary` to start")
	flag.StringVar(&o.config, "config", filepath.Join("cmd", "otelcol-custom", "config", "demo.yaml"), "`file` that configures it")
	flag.StringVar(&o.out, "out", "out", "`directory` to write the enriched telemetry to")
	flag.BoolVar(&o.live, "live", false, "replay in real time, shifted to now, to a collector that runs already")
	flag.StringVar(&o.endpoint, "endpoint", "127.0.0.1:4317", "OTLP/gRPC `address` of that collector")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, o)
	switch {
	case err == nil:
	case errors.Is(err, errWrong):
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(2)
	}
}

func run(ctx context.Context, o options) error {
	dir := filepath.Join(o.incidents, o.incident)
	if _, err := os.Stat(filepath.Join(dir, "truth.yaml")); err != nil {
		return fmt.Errorf("no recording %q in %s: there are %s", o.incident, o.incidents, names(o.incidents))
	}
	inc, err := replay.Load(dir)
	if err != nil {
		return err
	}
	if o.live {
		return live(ctx, o, inc)
	}
	return demo(ctx, o, inc)
}

// names lists the recordings in dir.
func names(dir string) string {
	truths, err := filepath.Glob(filepath.Join(dir, "*", "truth.yaml"))
	if err != nil || len(truths) == 0 {
		return "none"
	}
	for i, t := range truths {
		truths[i] = filepath.Base(filepath.Dir(t))
	}
	return strings.Join(truths, ", ")
}
