// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRows: in each row of the look-up table the first attribute that is there wins.
func TestRows(t *testing.T) {
	for name, row := range map[string]struct {
		keys  []string
		base  attrs
		value func(i int) any
		read  func(c *Call) string
		want  func(i int) string
	}{
		"named peer": {
			keys:  []string{"service.peer.name", "peer.service"},
			value: letter, read: func(c *Call) string { return c.Peer.Name }, want: letterOf,
		},
		"address": {
			keys: []string{
				"server.address", "net.peer.name", "network.peer.address", "net.sock.peer.name", "net.sock.peer.addr", "net.peer.ip", "url.full", "http.url", "http.host",
			},
			value: func(i int) any {
				if i == 6 || i == 7 {
					return "http://" + letterOf(i) + ":81/x"
				}
				return letterOf(i)
			},
			read: func(c *Call) string { return c.Peer.Address }, want: letterOf,
		},
		"database system": {
			keys:  []string{"db.system.name", "db.system"},
			value: letter, read: func(c *Call) string { return c.Peer.System }, want: letterOf,
		},
		"database namespace": {
			keys: []string{"db.namespace", "db.name"}, base: attrs{"db.system": "s"},
			value: letter, read: func(c *Call) string { return c.Peer.Name }, want: letterOf,
		},
		"collection": {
			keys: []string{"db.collection.name", "db.sql.table", "db.mongodb.collection"}, base: attrs{"db.system": "s"},
			value: letter, read: func(c *Call) string { return c.Operation.Target }, want: letterOf,
		},
		"database operation": {
			keys: []string{"db.query.summary", "db.operation.name", "db.operation"}, base: attrs{"db.system": "s"},
			value: letter, read: func(c *Call) string { return c.Operation.Verb }, want: letterOf,
		},
		"statement": {
			keys: []string{"db.query.text", "db.statement"}, base: attrs{"db.system": "s"},
			value: func(i int) any { return "DELETE FROM " + letterOf(i) }, read: func(c *Call) string { return c.Operation.Target }, want: letterOf,
		},
		"method": {
			keys:  []string{"http.request.method", "http.method"},
			value: letter, read: func(c *Call) string { return c.Operation.Verb }, want: letterOf,
		},
		"route": {
			keys: []string{"http.route", "url.template"}, base: attrs{"http.method": "GET"},
			value: letter, read: func(c *Call) string { return c.Operation.Target }, want: letterOf,
		},
		"RPC status": {
			keys:  []string{"rpc.status_code", "rpc.response.status_code", "rpc.grpc.status_code", "rpc.connect_rpc.error_code"},
			value: func(i int) any { return i + 1 }, read: func(c *Call) string { return c.ErrorType }, want: func(i int) string { return grpcNames[i+1] },
		},
		"destination": {
			keys: []string{
				"messaging.destination.template", "messaging.destination.name", "messaging.destination", "messaging.source.name", "messaging.url",
			},
			base: attrs{"messaging.system": "s"}, value: letter, read: func(c *Call) string { return c.Peer.Name }, want: letterOf,
		},
		"messaging operation": {
			keys: []string{"messaging.operation.type", "messaging.operation", "messaging.operation.name"}, base: attrs{"messaging.system": "s"},
			value: letter, read: func(c *Call) string { return c.Operation.Verb }, want: letterOf,
		},
		"group": {
			keys:  []string{"messaging.consumer.group.name", "messaging.kafka.consumer.group"},
			value: letter, read: func(c *Call) string { return c.Group }, want: letterOf,
		},
		"HTTP status": {
			keys: []string{"http.response.status_code", "http.status_code"}, base: attrs{"error.type": "x"},
			value: func(i int) any { return []int{404, 503}[i] }, read: func(c *Call) string { return counts(c.Outcome) }, want: func(i int) string { return []string{"ignored", "fail"}[i] },
		},
		"database status": {
			keys: []string{"db.response.status_code", "pgx.sql_state"}, base: attrs{"db.system": "postgresql"},
			value: func(i int) any { return []string{"23505", "57014"}[i] }, read: func(c *Call) string { return c.ErrorType }, want: func(i int) string { return []string{"23505", "57014"}[i] },
		},
	} {
		t.Run(name, func(t *testing.T) {
			// Every attribute from the i-th on is there, in this order and in reverse.
			for i := range row.keys {
				for _, reverse := range []bool{false, true} {
					td, span := shape{kind: client, attrs: row.base}.traces(t)
					for n := range len(row.keys) - i {
						j := i + n
						if reverse {
							j = len(row.keys) - 1 - n
						}
						require.NoError(t, span.Attributes().PutEmpty(row.keys[j]).FromRaw(row.value(j)))
					}
					c, _ := readOne(t, td)
					require.Equal(t, row.want(i), row.read(&c), "%s first, reverse %v", row.keys[i], reverse)
				}
			}
		})
	}
}

func letterOf(i int) string { return string(rune('p' + i)) }

func letter(i int) any { return letterOf(i) }

// TestPortsGoWithTheirAddress: a port of another generation does not belong to the address.
func TestPortsGoWithTheirAddress(t *testing.T) {
	ports := attrs{"server.port": 1, "net.peer.port": 2, "network.peer.port": 3, "net.sock.peer.port": 4}
	for key, want := range map[string]int32{
		"server.address": 1, "net.peer.name": 2, "net.peer.ip": 2, "network.peer.address": 3, "net.sock.peer.name": 4, "net.sock.peer.addr": 4,
	} {
		a := attrs{key: "a"}
		for k, v := range ports {
			a[k] = v
		}
		require.Equal(t, want, shape{kind: client, attrs: a}.read(t).Peer.Port, key)
	}
	p := shape{kind: client, attrs: attrs{"server.address": "10.0.0.1", "server.port": 80, "network.peer.address": "10.0.0.1", "network.peer.port": 8081}}.read(t).Peer
	require.Equal(t, "10.0.0.1", p.Instance, "one host, two replicas")
	require.Equal(t, int32(8081), p.InstancePort)
	p = shape{kind: client, attrs: attrs{"server.address": "10.0.0.1", "server.port": 80, "network.peer.address": "10.0.0.1", "network.peer.port": 80}}.read(t).Peer
	require.Empty(t, p.Instance)
}
