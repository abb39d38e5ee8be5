// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package services

import (
	"context"
	"net"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/network"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kotel"
)

// deliveryTimeout is what orders allows for one record to be acknowledged.
const deliveryTimeout = time.Second

// Partitions of the topic.
const Partitions = 3

func (s *service) kafkaOptions(tracer *kotel.Tracer) []kgo.Opt {
	d := s.dialer(-1)
	return []kgo.Opt{
		kgo.SeedBrokers(net.JoinHostPort(network.Broker, network.BrokerPort)),
		kgo.ClientID(s.Instance),
		kgo.Dialer(d.DialContext),
		kgo.WithHooks(kotel.NewKotel(kotel.WithTracer(tracer)).Hooks()...),
	}
}

type producer struct{ client *kgo.Client }

func (s *service) newProducer() (*producer, error) {
	tracer := kotel.NewTracer(kotel.ClientID(s.Instance))
	c, err := kgo.NewClient(append(s.kafkaOptions(tracer),
		kgo.ProducerBatchMaxBytes(1<<20),
		kgo.RecordDeliveryTimeout(deliveryTimeout),
		// Without idempotence a record in flight to a silent broker may be given
		// up when its time is over; the checkout has failed by then anyway.
		kgo.DisableIdempotentWrite(),
		kgo.RecordRetries(0),
		kgo.ProduceRequestTimeout(deliveryTimeout/2),
		kgo.RequestTimeoutOverhead(deliveryTimeout/2))...)
	if err != nil {
		return nil, err
	}
	return &producer{client: c}, nil
}

func (p *producer) publish(ctx context.Context, r *kgo.Record) error {
	return p.client.ProduceSync(ctx, r).FirstErr()
}

func (p *producer) close() { p.client.Close() }

// runKfake is the stand-in broker for machines without Java: it speaks the
// protocol and keeps nothing.
func runKfake(ctx context.Context, s *service) error {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(9092),
		kfake.ListenFn(func(network, address string) (net.Listener, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return net.Listen(network, net.JoinHostPort(s.Address, port))
		}),
		kfake.SeedTopics(Partitions, Topic))
	if err != nil {
		return err
	}
	defer c.Close()
	<-ctx.Done()
	return nil
}
