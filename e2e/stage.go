// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/firebreak-otel/firebreak/internal/replay"
)

// stage is all that runs for one incident.
type stage struct {
	options
	builds
	truth replay.Truth
	parts []*part

	otlp, metrics, graph    string // the collector's addresses
	foreignOTLP             string
	jaegerOTLP, jaegerQuery string
	prometheusAt            string
	alertmanagerAt          string
	hook                    webhook

	opened time.Time // when Prometheus had the incident

	running []*process
	sources []*process // they send
	foreign *process
}

func (s *stage) addresses() error {
	a, err := freeAddresses(8)
	if err != nil {
		return fmt.Errorf("no free port on loopback: %w", err)
	}
	for i, to := range []*string{&s.otlp, &s.metrics, &s.graph, &s.foreignOTLP, &s.jaegerOTLP, &s.jaegerQuery, &s.prometheusAt, &s.alertmanagerAt} {
		*to = a[i]
	}
	return nil
}

// launch starts a process that stop ends, and waits until it is ready.
func (s *stage) launch(ctx context.Context, name string, ready func() error, env []string, bin string, args ...string) (*process, error) {
	p, err := start(s.out, name, env, bin, args...)
	if err != nil {
		return nil, err
	}
	s.running = append(s.running, p)
	return p, p.ready(ctx, ready)
}

// stop ends what runs, the last started first.
func (s *stage) stop() {
	for _, p := range slices.Backward(append(s.running, s.sources...)) {
		if err := p.stop(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			fmt.Fprintln(os.Stderr, "e2e:", firstLine(err.Error()))
		}
	}
	s.hook.close()
}

// startCollector starts ours with grafana.yaml: spans to Jaeger where there is one, records to a file.
func (s *stage) startCollector(ctx context.Context) error {
	args := []string{
		"--config", filepath.Join("cmd", "otelcol-custom", "config", "grafana.yaml"),
		"--config", "yaml:exporters::file/logs::path: " + filepath.Join(s.out, "logs.jsonl"),
		"--config", "yaml:service::pipelines::logs::exporters: [file/logs]",
	}
	if !s.runs(jaegerPart) {
		args = append(args, "--config", "yaml:exporters::debug::verbosity: basic",
			"--config", "yaml:service::pipelines::traces::exporters: [debug, service_graph]")
	}
	fmt.Printf("\n== Collector: start\n  ran   %s --config %s (metrics at %s and %s)\n", s.collector, args[1], s.metrics, s.graph)
	_, err := s.launch(ctx, "collector", listens(s.otlp), []string{
		"FIREBREAK_OTLP_ENDPOINT=" + s.otlp,
		"FIREBREAK_BACKEND=" + s.jaegerOTLP,
		"FIREBREAK_METRICS_PORT=" + port(s.metrics),
		"FIREBREAK_GRAPH_ENDPOINT=" + s.graph,
	}, s.collector, args...)
	return err
}

// endpoints are those who get the incident, by name.
func (s *stage) endpoints() map[string]string {
	to := map[string]string{"replay": s.otlp}
	if s.runs(foreignPart) {
		to["replay-foreign"] = s.foreignOTLP
	}
	return to
}

// startSource sends the recording, shifted to now, at the speed at which it happened, or has the lab make it.
func (s *stage) startSource(ctx context.Context) error {
	if s.source == fromLab {
		if err := s.startLab(ctx); err != nil {
			return err
		}
	} else if err := s.startReplay(); err != nil {
		return err
	}
	fmt.Printf("  It takes %v; the fault sets in after %v and is healed after %v.\n",
		s.since(s.truth.Recorded.To), s.since(s.truth.Injected), s.since(s.truth.Healed))
	return nil
}

func (s *stage) startReplay() error {
	for name, endpoint := range s.endpoints() {
		p, err := start(s.out, name, nil, s.demo, "-live", "-incidents", filepath.Dir(s.incident), "-incident", filepath.Base(s.incident), "-endpoint", endpoint)
		if err != nil {
			return err
		}
		s.sources = append(s.sources, p)
	}
	fmt.Printf("\n== Replay of %s, in real time: %s\n", s.truth.Fault, s.truth.Description)
	return nil
}

// since is how long after the begin of the recording t is.
func (s *stage) since(t time.Time) time.Duration {
	return t.Sub(s.truth.Recorded.From).Round(time.Second)
}

func (s *stage) awaitSource(ctx context.Context) error {
	for _, p := range s.sources {
		select {
		case <-p.exited:
			if p.err != nil {
				return fmt.Errorf("%s: %w; the end of %s:\n%s", p.name, p.err, p.log, p.tail())
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	fmt.Printf("\n== All was sent\n")
	if s.source == fromLab {
		return s.checkLab()
	}
	return nil
}

// untilOpen is how long the incident may take to open, and untilResolved to end after all was sent.
func (s *stage) untilOpen() time.Duration { return s.since(s.truth.Healed) + 20*time.Second }

const untilResolved = time.Minute
