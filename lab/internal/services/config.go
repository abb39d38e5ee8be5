// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package services holds the shop: one role per process.
//
//	gateway -HTTP-> orders -SQL-> PostgreSQL
//	                orders -HTTPS-> payments (a third party, no telemetry)
//	                orders -Kafka-> fulfilment -SQL-> PostgreSQL
//	                                fulfilment -gRPC-> notifier
//	gateway -HTTP-> catalog -> Redis
package services

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/network"
	"github.com/firebreak-otel/firebreak/lab/internal/telemetry"
)

// ConfigVariable is the environment variable that carries a process's Config.
const ConfigVariable = "FIREBREAK_LAB_SERVICE"

// Topic is the Kafka topic between orders and fulfilment.
const Topic = "orders"

// Config is all that one service process has to know.
type Config struct {
	Role     string        // gateway, orders, catalog, fulfilment, notifier, payments, kfake
	Instance string        // service.instance.id, such as orders-1
	Version  string        // service.version
	Address  string        // its own loopback address
	OTLP     string        // host:port of the recorder
	Hosts    network.Hosts // the lab's names
	CertFile string        // payments: where to leave its certificate; orders: where to find it
	// Parented makes consumer spans children of the producer's instead of new
	// traces joined by links: both are met in the wild.
	Parented bool
}

// service is what every role gets to work with.
type service struct {
	Config
	log  *slog.Logger
	mode *mode
}

// Run runs the role named in the environment until ctx ends.
func Run(ctx context.Context, role string) error {
	var c Config
	if err := json.Unmarshal([]byte(os.Getenv(ConfigVariable)), &c); err != nil {
		return fmt.Errorf("%s: %w: this command is started by \"lab record\", not by hand", ConfigVariable, err)
	}
	if c.Role != role {
		return fmt.Errorf("asked to run %q but %s says %q", role, ConfigVariable, c.Role)
	}
	roles := map[string]func(context.Context, *service) error{
		"gateway": runGateway, "orders": runOrders, "catalog": runCatalog,
		"fulfilment": runFulfilment, "notifier": runNotifier,
	}
	s := &service{Config: c, log: slog.Default(), mode: &mode{}}
	control, err := s.mode.listen(c.Address)
	if err != nil {
		return err
	}
	defer func() { _ = control.Close() }()
	switch role {
	case "payments": // outside the fleet: it has no telemetry
		return runPayments(ctx, s)
	case "kfake":
		return runKfake(ctx, s)
	}
	run, ok := roles[role]
	if !ok {
		return fmt.Errorf("unknown service role %q", role)
	}
	log, stop, err := telemetry.Start(ctx, telemetry.Identity{Name: role, Instance: c.Instance, Version: c.Version}, c.OTLP)
	if err != nil {
		return err
	}
	defer stop()
	s.log = log
	return run(ctx, s)
}

// dialer pins to one instance of the host, or to any with -1.
func (s *service) dialer(instance int) network.Dialer {
	return network.Dialer{Hosts: s.Hosts, From: s.Address, Instance: instance}
}

// serve runs an HTTP server until ctx ends.
func (s *service) serve(ctx context.Context, h http.Handler) error {
	l, err := net.Listen("tcp", net.JoinHostPort(s.Address, network.HTTPPort))
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = srv.Close()
	}()
	if err := srv.Serve(l); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}
