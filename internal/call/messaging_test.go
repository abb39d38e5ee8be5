// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

func TestMessaging(t *testing.T) {
	mq := func(w want) want { w.protocol, w.kind = ProtocolMessaging, NodeMessaging; return w }
	runShapes(t, []shapeCase{
		{
			"go kotel publish",
			shape{kind: producer, name: "orders publish", attrs: attrs{
				"messaging.system": "kafka", "messaging.destination.kind": "topic", "messaging.destination.name": "orders", "messaging.operation": "publish",
				"messaging.kafka.client_id": "orders-1", "messaging.kafka.message.key": "17", "messaging.kafka.destination.partition": 2, "messaging.kafka.message.offset": 4,
			}},
			mq(want{peer: "kafka/orders", operation: "send orders"}),
		},
		{
			"go kotel receive",
			shape{kind: consumer, name: "orders receive", attrs: attrs{
				"messaging.system": "kafka", "messaging.source.kind": "topic", "messaging.source.name": "orders", "messaging.operation": "receive",
				"messaging.kafka.consumer.group": "fulfilment", "messaging.kafka.source.partition": 2, "messaging.kafka.message.offset": 4,
			}},
			mq(want{peer: "kafka/orders", operation: "receive orders", group: "fulfilment"}),
		},
		{
			"go kotel process",
			shape{kind: consumer, name: "orders process", attrs: attrs{
				"messaging.system": "kafka", "messaging.source.name": "orders", "messaging.operation": "process", "messaging.kafka.consumer.group": "fulfilment",
			}, status: ptrace.StatusCodeError, message: "no stock"},
			mq(want{peer: "kafka/orders", operation: "process orders", group: "fulfilment", outcome: Fail, reason: ReasonError}),
		},
		{
			"java kafka clients, newer names: receive is a client's",
			shape{kind: client, name: "poll orders", attrs: attrs{
				"messaging.system": "kafka", "messaging.destination.name": "orders", "messaging.operation.type": "receive", "messaging.operation.name": "poll",
				"messaging.consumer.group.name": "fulfilment", "messaging.batch.message_count": 10, "server.address": "broker", "server.port": 9092,
			}},
			mq(want{peer: "kafka/orders", operation: "receive orders", group: "fulfilment"}),
		},
		{
			"java kafka clients, send failed",
			shape{kind: producer, name: "orders publish", attrs: attrs{
				"messaging.system": "kafka", "messaging.destination.name": "orders", "messaging.operation": "publish", "messaging.client_id": "producer-1", "messaging.destination.partition.id": "2",
				"error.type": "org.apache.kafka.common.errors.TimeoutException",
			}, status: ptrace.StatusCodeError},
			mq(want{peer: "kafka/orders", operation: "send orders", outcome: Fail, reason: ReasonTimeout, errorType: "org.apache.kafka.common.errors.TimeoutException"}),
		},
		{
			"older: destination without .name, no operation",
			shape{kind: producer, name: "orders send", attrs: attrs{"messaging.system": "kafka", "messaging.destination": "orders", "messaging.destination_kind": "topic"}},
			mq(want{peer: "kafka/orders", operation: "send orders"}),
		},
		{
			"node kafkajs, older",
			shape{kind: consumer, name: "orders", attrs: attrs{"messaging.system": "kafka", "messaging.destination": "orders", "messaging.operation": "process"}},
			mq(want{peer: "kafka/orders", operation: "process orders"}),
		},
		{
			"python aiokafka",
			shape{kind: producer, name: "orders send", attrs: attrs{
				"messaging.system": "kafka", "messaging.destination.name": "orders", "messaging.operation.name": "send", "messaging.operation.type": "publish", "messaging.client.id": "aiokafka-1",
				"server.address": `["broker:9092"]`,
			}},
			mq(want{peer: "kafka/orders", operation: "send orders"}),
		},
		{
			"python kafka-python, address list",
			shape{kind: producer, name: "orders send", attrs: attrs{"messaging.system": "kafka", "messaging.destination": "orders", "messaging.url": `["b1:9092"]`}},
			mq(want{peer: "kafka/orders", operation: "send orders"}),
		},
		{
			".net Confluent.Kafka",
			shape{kind: consumer, name: "poll orders", attrs: attrs{
				"messaging.system": "kafka", "messaging.destination.name": "orders", "messaging.operation.type": "receive", "messaging.operation.name": "poll", "messaging.consumer.group.name": "fulfilment",
			}},
			mq(want{peer: "kafka/orders", operation: "receive orders", group: "fulfilment"}),
		},
		{
			".net MassTransit over RabbitMQ",
			shape{kind: producer, name: "Shop:OrderPlaced send", attrs: attrs{
				"messaging.system": "rabbitmq", "messaging.destination.name": "Shop:OrderPlaced", "messaging.operation": "send", "messaging.masstransit.destination_address": "rabbitmq://mq/Shop:OrderPlaced",
			}},
			mq(want{peer: "rabbitmq/Shop:OrderPlaced", operation: "send Shop:OrderPlaced"}),
		},
		{
			"SQS by its queue URL",
			shape{kind: client, name: "Sqs.ReceiveMessage", attrs: attrs{
				"messaging.system": "AmazonSQS", "messaging.url": "https://sqs.eu-central-1.amazonaws.com/1234/orders", "messaging.operation": "receive", "rpc.system": "aws-api", "rpc.service": "Sqs",
				"rpc.method": "ReceiveMessage", "http.request.method": "POST", "server.address": "sqs.eu-central-1.amazonaws.com",
			}},
			mq(want{peer: "aws_sqs/orders", operation: "receive orders"}),
		},
		{
			"settled",
			shape{kind: client, name: "ack orders", attrs: attrs{"messaging.system": "gcp_pubsub", "messaging.destination.name": "orders", "messaging.operation.name": "ack"}},
			mq(want{peer: "gcp_pubsub/orders", operation: "settle orders"}),
		},
		{
			"temporary: the broker is the node",
			shape{kind: producer, name: "send", attrs: attrs{
				"messaging.system": "activemq", "messaging.destination.name": "tmp-5f3a", "messaging.destination.temporary": true, "server.address": "mq",
			}},
			mq(want{peer: "activemq/mq", operation: "send"}),
		},
		{
			"temporary with a template",
			shape{kind: producer, name: "send", attrs: attrs{
				"messaging.system": "activemq", "messaging.destination.name": "reply-17", "messaging.destination.anonymous": true, "messaging.destination.template": "reply-{id}",
			}},
			mq(want{peer: "activemq/reply-{id}", operation: "send reply-{id}"}),
		},
		{
			"a name that RabbitMQ made up",
			shape{kind: consumer, name: "process", attrs: attrs{"messaging.system": "rabbitmq", "messaging.destination.name": "amq.gen-JzTY20BRgKO"}},
			mq(want{peer: "rabbitmq", operation: "process"}),
		},
	})
}

// TestMixedTrace is one trace as a fleet in the middle of its migration sends it: the edges must
// meet at the same nodes.
func TestMixedTrace(t *testing.T) {
	key := func(s shape) uint64 { c := s.read(t); return c.Peer.Key() }
	topic := key(shape{kind: producer, attrs: attrs{"messaging.system": "kafka", "messaging.destination.name": "orders"}})
	for name, a := range map[string]attrs{
		"kotel":     {"messaging.system": "kafka", "messaging.source.name": "orders", "messaging.operation": "process"},
		"older SDK": {"messaging.system": "kafka", "messaging.destination": "orders", "server.address": "broker"},
	} {
		require.Equal(t, topic, key(shape{kind: consumer, attrs: a}), name)
	}
	db := key(shape{kind: client, attrs: attrs{"db.system.name": "postgresql", "db.namespace": "shop|public", "server.address": "pg"}})
	for name, a := range map[string]attrs{
		"older SDK": {"db.system": "postgresql", "db.name": "shop", "net.peer.name": "10.0.0.1"},
		"mapped":    {"db.system": "postgresql", "db.name": "shop", "peer.service": "maindb"},
	} {
		require.Equal(t, db, key(shape{kind: client, attrs: a}), name)
	}
	require.NotEqual(t, db, topic)
}

func TestMessagingVerbs(t *testing.T) {
	for operation, want := range map[string]string{
		"publish": "send", "send": "send", "poll": "receive", "receive": "receive", "deliver": "process", "process": "process", "ack": "settle", "settle": "settle", "create": "create",
	} {
		for _, key := range []string{"messaging.operation.type", "messaging.operation", "messaging.operation.name"} {
			c := shape{kind: client, attrs: attrs{"messaging.system": "kafka", key: operation}}.read(t)
			require.Equal(t, want, c.Operation.Verb, "%s=%s", key, operation)
			require.Equal(t, RoleClient, c.Role)
			require.Equal(t, NodeMessaging, c.Peer.Kind)
		}
	}
}
