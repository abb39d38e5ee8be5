// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/parts"
	"github.com/firebreak-otel/firebreak/lab/internal/services"
	"github.com/firebreak-otel/firebreak/lab/internal/truth"
)

// slowConsumer is what fulfilment wastes on each record: more than the time
// between two orders, so that the lag grows.
const slowConsumer = 300 * time.Millisecond

func processFaults() []Fault {
	return []Fault{
		{
			Name:        "instance-pause",
			Description: "one of two orders instances is stopped with SIGSTOP: it accepts connections but answers nothing",
			Target:      "orders-2",
			Verdict:     truth.Verdict{Root: "shop/orders", Kind: "service", Instance: "orders-2"},
			Symptoms:    []string{"shop/gateway"},
			Inject: func(_ context.Context, s *System) (Heal, error) {
				p, err := s.Fleet.Process("orders-2")
				if err != nil {
					return nil, err
				}
				return pause(p)
			},
		},
		{
			Name:        "bad-version",
			Description: "catalog is rolled out in version 1.1.0, whose code fails for every third item; the healing is the roll-back",
			Target:      "catalog",
			Verdict:     truth.Verdict{Root: "shop/catalog", Kind: "service", Version: "1.1.0"},
			Symptoms:    []string{"shop/gateway"},
			Inject: func(_ context.Context, s *System) (Heal, error) {
				return func(context.Context) error { return s.Fleet.Deploy("catalog", "1.0.0") }, s.Fleet.Deploy("catalog", "1.1.0")
			},
		},
		{
			Name:        "slow-consumer",
			Description: "fulfilment's own code takes 300 ms longer for each record, so that the lag of its consumer group grows",
			Target:      "fulfilment-1",
			Verdict:     truth.Verdict{Root: "shop/fulfilment", Kind: "service"},
			Inject: func(ctx context.Context, s *System) (Heal, error) {
				return setMode(ctx, s, "fulfilment-1", services.Mode{Delay: slowConsumer})
			},
		},
		{
			Name:        "broker-pause",
			Description: "the broker is stopped with SIGSTOP: records are not acknowledged and nothing is delivered",
			Target:      "the Kafka broker",
			Verdict:     truth.Verdict{Root: "kafka/orders", Kind: "messaging"},
			Symptoms:    []string{"shop/orders", "shop/gateway"},
			Parented:    true,
			OwnBroker:   true,
			Inject: func(_ context.Context, s *System) (Heal, error) {
				return pause(s.Broker)
			},
		},
		{
			Name:        "surge",
			Description: "customers send four times as many requests, which the shop has room for: nothing is wrong",
			Target:      "the load",
			Verdict:     silent,
			Inject: func(_ context.Context, s *System) (Heal, error) {
				s.Load.SetFactor(4)
				return func(context.Context) error { s.Load.SetFactor(1); return nil }, nil
			},
		},
	}
}

func pause(p *parts.Process) (Heal, error) {
	return func(context.Context) error { return p.Resume() }, p.Pause()
}

func setMode(ctx context.Context, s *System, instance string, m services.Mode) (Heal, error) {
	return func(ctx context.Context) error { return s.Fleet.SetMode(ctx, instance, services.Mode{}) }, s.Fleet.SetMode(ctx, instance, m)
}
