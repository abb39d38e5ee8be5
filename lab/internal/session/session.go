// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package session runs one recording from the first process to the last file.
package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/faults"
	"github.com/firebreak-otel/firebreak/lab/internal/load"
	"github.com/firebreak-otel/firebreak/lab/internal/network"
	"github.com/firebreak-otel/firebreak/lab/internal/parts"
	"github.com/firebreak-otel/firebreak/lab/internal/recorder"
	"github.com/firebreak-otel/firebreak/lab/internal/services"
	"github.com/firebreak-otel/firebreak/lab/internal/truth"
)

// drain lets the last answers and batches arrive.
const drain = 3 * time.Second

// healthyFailures is the share of failures before the fault that is still
// healthy.
const healthyFailures = 0.002

// limit is the largest recording that may be committed.
const limit = 3 << 20

// Options say what to record.
type Options struct {
	Fault                   faults.Fault
	Out                     string        // directory of this recording
	WarmUp                  time.Duration // load before the recording, so that pools and caches are full
	Healthy, FaultFor, Heal time.Duration
	Rate                    float64 // requests per second
	Checkouts               float64 // share of checkouts, 0..1
	Seed                    uint64
	Customers               int      // in the database
	Broker                  string   // host:port of a Kafka broker that runs already; empty: start one
	Kfake                   bool     // start the stand-in broker even where the real one could run
	Forward                 []string // host:port of OTLP/gRPC receivers that get everything as it arrives
	Log                     func(format string, args ...any)
}

// session is one run.
type session struct {
	Options
	scratch  string
	plan     network.Plan
	hosts    network.Hosts
	recorder *recorder.Recorder
	system   faults.System
	broker   string
}

// Run records one incident. Everything that it started has ended when it
// returns, also after an error or when ctx is cancelled.
func Run(ctx context.Context, o Options) (err error) {
	s := &session{Options: o}
	if o.Broker != "" && o.Fault.OwnBroker {
		return fmt.Errorf("%s is done to the broker's process, and the lab has no hold on that of %s: let it start one of its own", o.Fault.Name, o.Broker)
	}
	if s.scratch, err = os.MkdirTemp("", "firebreak-lab-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.scratch)) }()
	// PostgreSQL's user has to reach its directory inside.
	if err := os.Chmod(s.scratch, 0o755); err != nil {
		return err
	}
	defer s.stop()
	if err := s.start(ctx); err != nil {
		return fmt.Errorf("start the shop: %w", err)
	}
	t, err := s.play(ctx)
	if err != nil {
		return err
	}
	s.stop() // flushes
	t.Recorded.To = now()
	t.Counts.Spans, t.Counts.Logs = s.recorder.Counts()
	for _, line := range s.recorder.Forwarded() {
		s.Log("%s", line)
	}
	if err := s.recorder.Finish(s.Out); err != nil {
		return err
	}
	if err := truth.Write(s.Out, t); err != nil {
		return err
	}
	return s.report(t)
}

// play is the incident: healthy, injected, healed.
func (s *session) play(ctx context.Context) (truth.Truth, error) {
	t := truth.Truth{
		Fault: s.Fault.Name, Description: s.Fault.Description, Target: s.Fault.Target,
		Broker: s.broker, Verdict: s.Fault.Verdict, Symptoms: s.Fault.Symptoms,
	}
	loadContext, stopLoad := context.WithCancel(ctx)
	loadDone := make(chan struct{})
	go func() {
		s.system.Load.Run(loadContext)
		close(loadDone)
	}()
	defer func() { stopLoad(); <-loadDone }()

	if err := wait(ctx, s.WarmUp); err != nil {
		return t, err
	}
	s.recorder.Record()
	s.system.Load.Reset()
	t.Recorded.From = now()
	s.Log("recording, healthy for %s", s.Healthy)
	if err := wait(ctx, s.Healthy); err != nil {
		return t, err
	}
	requests, failed := s.system.Load.Counts()
	if float64(failed) > healthyFailures*float64(requests) {
		return t, fmt.Errorf("%d of %d requests failed before the fault: this is no healthy shop, see the services' own telemetry", failed, requests)
	}
	s.Log("%d requests, %d failed so far; injecting %s for %s", requests, failed, s.Fault.Name, s.FaultFor)
	t.Injected = now()
	heal, err := s.Fault.Inject(ctx, &s.system)
	if err != nil {
		return t, fmt.Errorf("inject %s: %w", s.Fault.Name, err)
	}
	if err := wait(ctx, s.FaultFor); err != nil {
		return t, err
	}
	if err := heal(ctx); err != nil {
		return t, fmt.Errorf("heal %s: %w", s.Fault.Name, err)
	}
	t.Healed = now()
	requests, failed = s.system.Load.Counts()
	s.Log("%d requests, %d failed so far; healed, watching for %s", requests, failed, s.Heal)
	if err := wait(ctx, s.Heal); err != nil {
		return t, err
	}
	stopLoad()
	<-loadDone
	t.Counts.Requests, t.Counts.Failed = s.system.Load.Counts()
	return t, wait(ctx, drain)
}

func (s *session) start(ctx context.Context) (err error) {
	if s.plan, err = network.FreePlan(); err != nil {
		return err
	}
	at := s.plan.Address
	s.hosts = network.Hosts{
		network.Gateway: {at(10)}, network.Orders: {at(21), at(22)}, network.Catalog: {at(31), at(32)},
		network.Notifier: {at(35)}, network.Database: {at(40)}, network.Cache: {at(50)},
		network.Broker: {at(60)}, network.Payments: {at(90)},
	}
	if s.recorder, err = recorder.Start(s.scratch, s.Forward...); err != nil {
		return err
	}
	s.system.Fleet = parts.NewFleet(s.scratch)
	s.Log("starting PostgreSQL, Redis and the broker in %s", s.scratch)
	if s.system.Postgres, err = parts.StartPostgres(ctx, s.scratch, at(40), s.Customers); err != nil {
		return err
	}
	if s.system.Redis, err = parts.StartRedis(s.scratch, at(50)); err != nil {
		return err
	}
	if err := s.startBroker(ctx); err != nil {
		return err
	}
	for _, c := range []services.Config{
		{Role: "payments", Instance: "payments-1", Address: at(90)},
		{Role: "notifier", Instance: "notifier-1", Address: at(35)},
		{Role: "fulfilment", Instance: "fulfilment-1", Address: at(36)},
		{Role: "orders", Instance: "orders-1", Address: at(21)},
		{Role: "orders", Instance: "orders-2", Address: at(22)},
		{Role: "catalog", Instance: "catalog-1", Address: at(31)},
		{Role: "catalog", Instance: "catalog-2", Address: at(32)},
		{Role: "gateway", Instance: "gateway-1", Address: at(10)},
	} {
		if err := s.system.Fleet.Start(s.config(c)); err != nil {
			return err
		}
	}
	d := network.Dialer{Hosts: s.hosts, From: at(250), Instance: -1}
	s.system.Load = &load.Generator{
		URL: "http://" + network.Gateway + ":" + network.HTTPPort, Rate: s.Rate, Seed: s.Seed,
		Mix:    load.Mix{Checkouts: s.Checkouts, Accounts: s.Customers, Items: parts.Items},
		Client: &http.Client{Transport: &http.Transport{DialContext: d.DialContext, MaxIdleConnsPerHost: 64}},
	}
	return nil
}

// config adds what all processes share.
func (s *session) config(c services.Config) services.Config {
	c.Version, c.OTLP, c.Hosts = "1.0.0", s.recorder.Endpoint(), s.hosts
	c.CertFile, c.Parented = filepath.Join(s.scratch, "payments.pem"), s.Fault.Parented
	return c
}

func (s *session) startBroker(ctx context.Context) error {
	if s.Broker != "" {
		return s.useBroker(ctx)
	}
	address := s.hosts[network.Broker][0]
	if s.Kfake {
		return s.startKfake(address, errors.New("it was asked for"))
	}
	jars, err := parts.FetchKafka(ctx, s.Log)
	if errors.Is(err, parts.ErrNoKafka) {
		return s.startKfake(address, err)
	}
	if err != nil {
		return err
	}
	k, err := parts.StartKafka(ctx, jars, s.scratch, address, network.Broker)
	if err != nil {
		return err
	}
	s.system.Broker, s.broker = k.Process, k.Version
	return k.CreateTopic(ctx, s.hosts, services.Topic, services.Partitions)
}

// useBroker lets the shop talk to a broker that runs already.
func (s *session) useBroker(ctx context.Context) error {
	host, _, err := net.SplitHostPort(s.Broker)
	if err != nil {
		return fmt.Errorf("the broker's address: %w", err)
	}
	s.hosts[network.Broker] = []string{s.Broker}
	s.hosts[host] = []string{host} // it tells its clients where it is
	if s.broker, err = parts.UseBroker(ctx, s.hosts, services.Topic, services.Partitions); err != nil {
		return fmt.Errorf("the broker at %s: %w", s.Broker, err)
	}
	return nil
}

// startKfake starts the stand-in broker and says so loudly.
func (s *session) startKfake(address string, why error) error {
	s.Log("ATTENTION: this runs against kfake, NOT against Apache Kafka: %v", why)
	c := s.config(services.Config{Role: "kfake", Instance: "kfake-1", Address: address})
	if err := s.system.Fleet.Start(c); err != nil {
		return err
	}
	p, err := s.system.Fleet.Process(c.Instance)
	s.system.Broker, s.broker = p, "kfake"
	return err
}

// stop ends every process, services first so that they flush.
func (s *session) stop() {
	if s.system.Fleet != nil {
		s.system.Fleet.Stop()
	}
	if s.recorder != nil {
		s.recorder.Stop()
	}
	s.system.Broker.Stop(syscall.SIGKILL, time.Second)
	if s.system.Redis != nil {
		s.system.Redis.Stop()
	}
	if s.system.Postgres != nil {
		s.system.Postgres.Stop()
	}
}

func (s *session) report(t truth.Truth) error {
	var size int64
	for _, name := range []string{recorder.TracesFile, recorder.LogsFile} {
		info, err := os.Stat(filepath.Join(s.Out, name))
		if err != nil {
			return err
		}
		size += info.Size()
	}
	s.Log("%s: %d bytes, %d spans, %d logs, %d requests, %d failed, broker %s", s.Out, size, t.Counts.Spans, t.Counts.Logs, t.Counts.Requests, t.Counts.Failed, t.Broker)
	if size > limit {
		return fmt.Errorf("%s is %d bytes, more than the %d that may be committed: record with a lower --rate", s.Out, size, limit)
	}
	return nil
}

func now() time.Time { return time.Now().UTC() }

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("stopped before the recording was complete: %w", context.Cause(ctx))
	case <-time.After(d):
		return nil
	}
}
