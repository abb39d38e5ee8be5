// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

func TestDatabase(t *testing.T) {
	bad := ptrace.StatusCodeError
	runShapes(t, []shapeCase{
		{
			"go otelsql with pgx",
			shape{kind: client, name: "sql.conn.query", attrs: attrs{
				"db.system.name": "postgresql", "db.namespace": "shop", "db.query.text": "SELECT n FROM stock WHERE id = $1", "server.address": "pg", "server.port": 5432,
			}},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "postgresql/shop", operation: "SELECT stock"},
		},
		{
			"go otelsql with pgx: deadline, told by the event alone",
			shape{kind: client, name: "sql.conn.exec", attrs: attrs{
				"db.system.name": "postgresql", "db.namespace": "shop", "db.query.text": "-- name: Place :one\nINSERT INTO orders (id) VALUES ($1)", "server.address": "pg",
			}, status: bad, exception: [2]string{"*pgconn.errTimeout", "timeout: context deadline exceeded"}},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "postgresql/shop", operation: "INSERT orders", outcome: Fail, reason: ReasonTimeout, errorType: "*pgconn.errTimeout"},
		},
		{
			"go otelsql with pgx: the code stands in the message",
			shape{kind: client, name: "sql.conn.exec", attrs: attrs{"db.system.name": "postgresql", "db.namespace": "shop"}, status: bad,
				exception: [2]string{"*pgconn.PgError", `ERROR: duplicate key value violates unique constraint "orders_pkey" (SQLSTATE 23505)`}},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "postgresql/shop", operation: "sql.conn.exec", outcome: Ignored, reason: ReasonClient, errorType: "23505"},
		},
		{
			"go otelsql: connection lost",
			shape{kind: client, name: "sql.conn.reset_session", attrs: attrs{"db.system.name": "postgresql", "db.namespace": "shop"}, status: bad,
				exception: [2]string{"*errors.errorString", "driver: bad connection"}},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "postgresql/shop", operation: "sql.conn.reset_session", outcome: Fail, reason: ReasonUnreachable, errorType: "*errors.errorString"},
		},
		{
			"go otelsql: the fast path that a driver lacks is no failure",
			shape{kind: client, name: "sql.conn.query", attrs: attrs{"db.system.name": "mysql", "db.namespace": "shop"}, status: bad,
				exception: [2]string{"*errors.errorString", "driver: skip fast-path; continue as if unimplemented"}},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "mysql/shop", operation: "sql.conn.query", outcome: Ignored, reason: ReasonClient, errorType: "*errors.errorString"},
		},
		{
			"go otelpgx",
			shape{kind: client, name: "SELECT stock", attrs: attrs{
				"db.system.name": "postgresql", "db.namespace": "shop", "db.query.text": "select 1", "db.operation.name": "SELECT", "server.address": "pg", "server.port": 5432,
				"pgx.sql_state": "55P03",
			}, status: bad, message: "ERROR: canceling statement due to lock timeout (SQLSTATE 55P03)"},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "postgresql/shop", operation: "SELECT", outcome: Fail, reason: ReasonTimeout, errorType: "55P03"},
		},
		{
			"java JDBC, new names, schema beside the database",
			shape{kind: client, name: "SELECT shop.stock", attrs: attrs{
				"db.system.name": "postgresql", "db.namespace": "shop|public", "db.query.summary": "select stock", "db.query.text": "select n from stock where id = ?",
				"server.address": "pg", "server.port": 5432, "db.response.status_code": "57014", "error.type": "org.postgresql.util.PSQLException",
			}, status: bad},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "postgresql/shop", operation: "SELECT stock", outcome: Fail, reason: ReasonTimeout, errorType: "57014"},
		},
		{
			"java JDBC: vendor code zero says nothing, error.type holds the SQLSTATE",
			shape{kind: client, name: "SELECT shop.stock", attrs: attrs{
				"db.system.name": "postgresql", "db.namespace": "shop", "db.query.summary": "SELECT stock", "db.response.status_code": "0", "error.type": "42601",
			}, status: bad},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "postgresql/shop", operation: "SELECT stock", outcome: Ignored, reason: ReasonClient, errorType: "42601"},
		},
		{
			"java JDBC, older names, pool exhausted",
			shape{kind: client, name: "SELECT shop.stock", attrs: attrs{
				"db.system": "postgresql", "db.name": "shop", "db.statement": "select n from stock where id = ?", "db.operation": "SELECT", "db.sql.table": "stock",
				"db.user": "u", "db.connection_string": "postgresql://pg:5432", "server.address": "pg",
			}, status: bad, exception: [2]string{"java.sql.SQLTransientConnectionException", "HikariPool-1 - Connection is not available, request timed out after 30000ms."}},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "postgresql/shop", operation: "SELECT stock", outcome: Fail, reason: ReasonTimeout, errorType: "java.sql.SQLTransientConnectionException"},
		},
		{
			"java JDBC, MySQL: lock wait",
			shape{kind: client, name: "UPDATE shop.stock", attrs: attrs{
				"db.system.name": "mysql", "db.namespace": "shop", "db.query.summary": "UPDATE stock", "db.response.status_code": "1205", "error.type": "1205",
			}, status: bad},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "mysql/shop", operation: "UPDATE stock", outcome: Fail, reason: ReasonTimeout, errorType: "1205"},
		},
		{
			"MySQL: SQLSTATE and number joined",
			shape{kind: client, name: "q", attrs: attrs{"db.system.name": "mysql", "db.namespace": "shop", "db.response.status_code": "42000/1071"}, status: bad},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "mysql/shop", operation: "q", outcome: Ignored, reason: ReasonClient, errorType: "42000/1071"},
		},
		{
			"java Lettuce, older: an index is no name",
			shape{kind: client, name: "GET", attrs: attrs{
				"db.system": "redis", "db.statement": "GET ?", "db.redis.database_index": 2, "net.peer.name": "cache", "net.peer.port": 6379,
			}, status: bad, exception: [2]string{"io.lettuce.core.RedisCommandTimeoutException", "Command timed out after 1 second(s)"}},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "redis/cache", operation: "GET", outcome: Fail, reason: ReasonTimeout, errorType: "io.lettuce.core.RedisCommandTimeoutException"},
		},
		{
			"java Jedis, new: the index stands in the namespace",
			shape{kind: client, name: "GET", attrs: attrs{
				"db.system.name": "redis", "db.namespace": "0", "db.operation.name": "GET", "db.query.text": "GET ?", "server.address": "cache", "server.port": 6379,
				"network.peer.address": "10.0.0.8", "network.peer.port": 6379, "error.type": "redis.clients.jedis.exceptions.JedisConnectionException",
			}, status: bad},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "redis/cache", operation: "GET", outcome: Fail, reason: ReasonUnreachable,
				errorType: "redis.clients.jedis.exceptions.JedisConnectionException", instance: "10.0.0.8"},
		},
		{
			"go redisotel",
			shape{kind: client, name: "get", attrs: attrs{
				"db.system": "redis", "db.connection_string": "redis://cache:6379/0", "db.statement": "get item:1", "server.address": "cache", "server.port": 6379,
			}, status: bad, message: "dial tcp 10.0.0.8:6379: i/o timeout", exception: [2]string{"*net.OpError", "dial tcp 10.0.0.8:6379: i/o timeout"}},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "redis/cache", operation: "get", outcome: Fail, reason: ReasonTimeout, errorType: "*net.OpError"},
		},
		{
			"redis, loading",
			shape{kind: client, name: "GET", attrs: attrs{"db.system.name": "redis", "server.address": "cache", "db.operation.name": "GET", "db.response.status_code": "LOADING"}, status: bad},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "redis/cache", operation: "GET", outcome: Fail, reason: ReasonUnreachable, errorType: "LOADING"},
		},
		{
			"python psycopg, older names",
			shape{kind: client, name: "SELECT", attrs: attrs{
				"db.system": "postgresql", "db.name": "shop", "db.statement": "SELECT * FROM public.stock WHERE id = %s", "db.user": "u", "net.peer.name": "pg", "net.peer.port": 5432,
			}, status: bad, message: "OperationalError: connection to server at \"pg\" failed: Connection refused", exception: [2]string{"psycopg.OperationalError", "connection to server at \"pg\" failed: Connection refused"}},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "postgresql/shop", operation: "SELECT public.stock", outcome: Fail, reason: ReasonUnreachable, errorType: "psycopg.OperationalError"},
		},
		{
			"python psycopg: lock timeout by its class",
			shape{kind: client, name: "SELECT", attrs: attrs{"db.system": "postgresql", "db.name": "shop"}, status: bad,
				exception: [2]string{"psycopg.errors.LockNotAvailable", "canceling statement due to lock timeout"}},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "postgresql/shop", operation: "SELECT", outcome: Fail, reason: ReasonTimeout, errorType: "psycopg.errors.LockNotAvailable"},
		},
		{
			"node pg",
			shape{kind: client, name: "pg.query:SELECT shop", attrs: attrs{
				"db.system": "postgresql", "db.name": "shop", "db.statement": "WITH x AS (SELECT 1) SELECT * FROM \"Stock\"", "net.peer.name": "pg", "net.peer.port": 5432, "db.connection_string": "postgresql://pg:5432/shop",
			}},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "postgresql/shop", operation: "WITH Stock"},
		},
		{
			".net Npgsql",
			shape{kind: client, name: "shop", attrs: attrs{
				"db.system.name": "postgresql", "db.namespace": "shop", "db.query.text": "UPDATE ONLY stock SET n = n - 1", "server.address": "pg", "db.npgsql.data_source": "x",
				"db.response.status_code": "53300", "error.type": "53300",
			}, status: bad, message: "sorry, too many clients already"},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "postgresql/shop", operation: "UPDATE stock", outcome: Fail, reason: ReasonThrottled, errorType: "53300"},
		},
		{
			".net SqlClient, numbers as integers",
			shape{kind: client, name: "SELECT", attrs: attrs{
				"db.system": "mssql", "db.name": "shop", "db.statement": "select 1", "net.peer.name": "sql", "db.response.status_code": -2,
			}, status: bad},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "microsoft.sql_server/shop", operation: "SELECT", outcome: Fail, reason: ReasonTimeout, errorType: "-2"},
		},
		{
			"a SQLSTATE as an integer",
			shape{kind: client, name: "q", attrs: attrs{"db.system": "postgresql", "db.name": "shop", "db.response.status_code": 57014}, status: bad},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "postgresql/shop", operation: "q", outcome: Fail, reason: ReasonTimeout, errorType: "57014"},
		},
		{
			"mongodb",
			shape{kind: client, name: "find stock", attrs: attrs{
				"db.system": "mongodb", "db.name": "shop", "db.operation": "find", "db.mongodb.collection": "stock", "db.statement": `{"find":"stock"}`, "db.response.status_code": "50",
			}, status: bad},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "mongodb/shop", operation: "find stock", outcome: Fail, reason: ReasonTimeout, errorType: "50"},
		},
		{
			"elasticsearch answers HTTP codes",
			shape{kind: client, name: "search", attrs: attrs{
				"db.system.name": "elasticsearch", "db.operation.name": "search", "db.collection.name": "items", "server.address": "es", "server.port": 9200, "http.request.method": "POST",
				"url.full": "http://es:9200/items/_search", "db.response.status_code": "429",
			}, status: bad},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "elasticsearch/es", operation: "search items", outcome: Throttled, reason: ReasonThrottled, errorType: "429"},
		},
		{
			"a named peer does not split a database from those who call it by its namespace",
			shape{kind: client, name: "q", attrs: attrs{"db.system": "postgresql", "db.name": "shop", "peer.service": "maindb", "server.address": "10.0.0.1"}},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "postgresql/shop", operation: "q"},
		},
		{
			"a named peer names a database that has no namespace",
			shape{kind: client, name: "GET", attrs: attrs{"db.system": "redis", "db.namespace": "1", "peer.service": "sessions", "server.address": "10.0.0.1"}},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "redis/sessions", operation: "GET"},
		},
		{
			"in memory",
			shape{kind: internal, name: "SELECT t", attrs: attrs{"db.system": "h2", "db.name": "mem"}},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "h2database/mem", operation: "SELECT t"},
		},
		{
			"nothing but the system",
			shape{kind: client, name: "q", attrs: attrs{"db.system": "redis", "db.namespace": "3"}},
			want{protocol: ProtocolDatabase, kind: NodeDatabase, peer: "redis", operation: "q"},
		},
	})
}

func TestReadStatement(t *testing.T) {
	for statement, want := range map[string][2]string{
		"":                                     {"", ""},
		"select 1":                             {"SELECT", ""},
		"  SELECT a,b\nFROM\n  stock s":        {"SELECT", "stock"},
		"/* hint */ delete from `stock`":       {"DELETE", "stock"},
		"/* open":                              {"", ""},
		"-- only a comment":                    {"", ""},
		"insert into shop.orders(id) values":   {"INSERT", "shop.orders"},
		"update \"Stock\" set n=1":             {"UPDATE", "Stock"},
		"begin":                                {"BEGIN", ""},
		"COMMIT":                               {"COMMIT", ""},
		"get item:17":                          {"", ""},
		`{"find": "stock"}`:                    {"", ""},
		"MATCH (n) RETURN n":                   {"", ""},
		"merge into t using s on t.id = s.id":  {"MERGE", "t"},
		"SELECT * FROM (SELECT 1 FROM x) AS y": {"SELECT", "x"},
	} {
		verb, table := readStatement(statement)
		require.Equal(t, want, [2]string{verb, table}, statement)
	}
}

func TestDatabaseSystems(t *testing.T) {
	for former, now := range map[string]string{
		"postgres": "postgresql", "mssql": "microsoft.sql_server", "oracle": "oracle.db", "db2": "ibm.db2", "dynamodb": "aws.dynamodb", "redshift": "aws.redshift",
		"cosmosdb": "azure.cosmosdb", "spanner": "gcp.spanner", "hanadb": "sap.hana", "h2": "h2database", "redis": "redis", "mysql": "mysql", "my.own": "my.own",
	} {
		require.Equal(t, now, databaseSystem(former))
		require.Equal(t, now, databaseSystem(now), "new names stay")
	}
}
