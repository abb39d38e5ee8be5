// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// E2e replays a recorded incident in real time, or has the lab make it anew, through the collector into backends as
// others run them, and asks these, over their own HTTP APIs, for what we wrote: Jaeger, Prometheus, Alertmanager; and it builds a
// collector from a manifest of somebody else's with our processors added. It prints what it asked and what came
// back, and ends with 0 when nothing failed.
//
// A part whose build is absent is skipped, and that is said; with E2E_REQUIRE=all it fails. -deps makes the builds,
// in a cache outside the repository.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/firebreak-otel/firebreak/internal/replay"
)

type options struct {
	deps      bool
	source    string // recording or lab
	incident  string // directory of a recording
	collector string // binary
	demo      string // binary
	lab       string // binary
	builder   string // binary: ocb
	out       string // directory
	require   bool   // no part may be skipped
}

func main() {
	o := options{require: os.Getenv("E2E_REQUIRE") == "all"}
	flag.BoolVar(&o.deps, "deps", false, "build and fetch the backends into the cache, and end")
	flag.StringVar(&o.incident, "incident", filepath.Join("testdata", "incidents", "postgres-lock"), "`directory` of the recording to replay; for the lab: of that of the same fault")
	flag.StringVar(&o.source, "source", fromRecording, "where the incident comes from: recording, or lab, a real shop with a real fault")
	flag.StringVar(&o.collector, "collector", filepath.Join("bin", "otelcol-custom"), "collector `binary`")
	flag.StringVar(&o.demo, "demo", filepath.Join("bin", "demo"), "`binary` of cmd/demo, which replays")
	flag.StringVar(&o.lab, "lab", filepath.Join("bin", "lab"), "`binary` of the lab")
	flag.StringVar(&o.builder, "builder", filepath.Join(".tools", "builder"), "`binary` of ocb")
	flag.StringVar(&o.out, "out", filepath.Join("out", "e2e"), "`directory` for logs and data")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (ok bool, err error) {
	if o.source != fromRecording && o.source != fromLab {
		return false, fmt.Errorf("-source is %q, must be %s or %s", o.source, fromRecording, fromLab)
	}
	cache, err := cacheDir()
	if err != nil {
		return false, err
	}
	if o.deps {
		return true, deps(ctx, cache)
	}
	truth, err := replay.LoadTruth(filepath.Join(o.incident, "truth.yaml"))
	if err != nil {
		return false, err
	}
	if err := os.RemoveAll(o.out); err != nil {
		return false, err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return false, err
	}
	s := &stage{options: o, builds: buildsIn(cache), truth: truth}
	s.parts = []*part{
		// The first one waits for the incident to open; the others are asked at once then.
		{name: "Prometheus", needs: []string{s.prometheus}, start: s.startPrometheus, during: s.queryIncident, after: s.queryHistory},
		{name: "Alertmanager", needs: []string{s.alertmanager, s.prometheus}, start: s.startAlertmanager, during: s.alertFires, after: s.alertResolves},
		{name: jaegerPart, needs: []string{s.jaeger}, start: s.startJaeger, during: s.searchJaeger},
		{name: "Dashboard", needs: []string{s.prometheus}, during: s.queryDashboard},
		{name: foreignPart, needs: []string{o.builder}, start: s.startForeign, after: s.foreignVerdict},
	}
	return s.play(ctx)
}

const (
	fromRecording = "recording"
	fromLab       = "lab"

	jaegerPart  = "Jaeger"
	foreignPart = "Foreign manifest"
)

// part is one backend. Its functions may be nil.
type part struct {
	name   string
	needs  []string                    // files without which it is skipped
	start  func(context.Context) error // before the incident is sent
	during func(context.Context) error // waits for the incident
	after  func(context.Context) error // all was sent
	err    error
	skip   string // why
}

func (p *part) missing() string {
	for _, f := range p.needs {
		if _, err := os.Stat(f); err != nil {
			return f + " is not there; `make e2e-deps` makes it"
		}
	}
	return ""
}

// do runs one of the part's functions unless an earlier one failed.
func (p *part) do(ctx context.Context, when string, f func(context.Context) error) {
	if f == nil || p.err != nil || p.skip != "" {
		return
	}
	fmt.Printf("\n== %s: %s\n", p.name, when)
	if p.err = f(ctx); p.err != nil {
		fmt.Println("  FAILED:", p.err)
	}
}

func (s *stage) play(ctx context.Context) (bool, error) {
	defer s.stop()
	if err := s.addresses(); err != nil {
		return false, err
	}
	absent := ""
	if s.source == fromLab {
		absent = noLab()
	}
	for _, p := range s.parts {
		if p.skip = cmp.Or(absent, p.missing()); p.skip != "" {
			fmt.Printf("\n== %s: SKIPPED: %s\n", p.name, p.skip)
			continue
		}
		p.do(ctx, "start", p.start)
	}
	if !slices.ContainsFunc(s.parts, func(p *part) bool { return s.runs(p.name) }) {
		return s.report(), nil
	}
	if err := s.startCollector(ctx); err != nil {
		return false, err
	}
	if err := s.startSource(ctx); err != nil {
		return false, err
	}
	for _, p := range s.parts {
		p.do(ctx, "while the incident is open", p.during)
	}
	if err := s.awaitSource(ctx); err != nil {
		return false, err
	}
	for _, p := range s.parts {
		p.do(ctx, "after the incident", p.after)
	}
	return s.report(), nil
}

// runs says whether the part was started.
func (s *stage) runs(name string) bool {
	return slices.ContainsFunc(s.parts, func(p *part) bool { return p.name == name && p.skip == "" && p.err == nil })
}

func (s *stage) report() bool {
	fmt.Println()
	var passed, failed, skipped int
	for _, p := range s.parts {
		switch {
		case p.err != nil:
			failed++
			fmt.Printf("FAILED   %s: %s\n", p.name, firstLine(p.err.Error()))
		case p.skip != "" && s.require:
			failed++
			fmt.Printf("FAILED   %s: E2E_REQUIRE=all, and %s\n", p.name, p.skip)
		case p.skip != "":
			skipped++
			fmt.Printf("SKIPPED  %s: %s\n", p.name, p.skip)
		default:
			passed++
			fmt.Println("passed  ", p.name)
		}
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	return failed == 0
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
