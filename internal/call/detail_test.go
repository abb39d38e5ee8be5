// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

var everyKind = []ptrace.SpanKind{client, server, consumer, internal}

// TestDetailOfTypes: what error types of the languages say more, as an attribute and as an exception, on either side.
func TestDetailOfTypes(t *testing.T) {
	for want, types := range map[Detail][]string{
		DetailDNS: {
			"*net.DNSError", "java.net.UnknownHostException", "java.nio.channels.UnresolvedAddressException", "io.netty.resolver.dns.DnsResolveContext$SearchDomainUnknownHostException",
			"io.netty.resolver.dns.DnsNameResolverTimeoutException", "socket.gaierror", "urllib3.exceptions.NameResolutionError", "aiohttp.client_exceptions.ClientConnectorDNSError",
			"ENOTFOUND", "EAI_AGAIN", "name_resolution_error",
		},
		DetailTLS: {
			"*tls.CertificateVerificationError", "x509.UnknownAuthorityError", "tls.alert", "tls.RecordHeaderError", "javax.net.ssl.SSLHandshakeException", "javax.net.ssl.SSLException",
			"java.security.cert.CertificateExpiredException", "java.security.cert.CertPathValidatorException", "io.netty.handler.ssl.NotSslRecordException", "ssl.SSLCertVerificationError",
			"requests.exceptions.SSLError", "aiohttp.client_exceptions.ClientConnectorCertificateError", "CERT_HAS_EXPIRED", "DEPTH_ZERO_SELF_SIGNED_CERT", "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
			"ERR_TLS_CERT_ALTNAME_INVALID", "ERR_SSL_WRONG_VERSION_NUMBER", "secure_connection_error", "System.Security.Authentication.AuthenticationException",
		},
		DetailAuth: {
			"UNAUTHENTICATED", "PERMISSION_DENIED", "org.apache.kafka.common.errors.SaslAuthenticationException", "org.apache.kafka.common.errors.TopicAuthorizationException",
			"java.sql.SQLInvalidAuthorizationSpecException", "psycopg2.errors.InvalidPassword", "psycopg.errors.InsufficientPrivilege", "redis.exceptions.AuthenticationError", "ER_ACCESS_DENIED_ERROR",
			"com.mongodb.MongoSecurityException", "org.springframework.security.access.AccessDeniedException", "werkzeug.exceptions.Forbidden", "UnauthorizedError", "AccessDeniedException",
			"ExpiredTokenException", "UnrecognizedClientException",
		},
		DetailNone: {
			"timeout", "java.net.ConnectException", "ECONNREFUSED", "_OTHER", "NoteNotFound", "ResourceNotFoundException", "WSServerHandshakeError", "Error",
			"context.Canceled", "System.Threading.Tasks.TaskCanceledException", "io.netty.handler.ssl.SslHandshakeTimeoutException", "",
		},
	} {
		for _, kind := range types {
			for _, of := range everyKind {
				c := shape{kind: of, status: ptrace.StatusCodeError, attrs: attrs{"error.type": kind}}.read(t)
				require.Equal(t, want, c.Detail, kind)
				if kind == "ENOTFOUND" {
					continue // Node's exceptions are called Error
				}
				c = shape{kind: of, status: ptrace.StatusCodeError, exception: [2]string{kind, "it failed"}}.read(t)
				require.Equal(t, want, c.Detail, "exception %s", kind)
			}
		}
	}
}

// TestDetailOfMessages: what texts written for people say more, beside a type that wraps anything.
func TestDetailOfMessages(t *testing.T) {
	for want, messages := range map[Detail][]string{
		DetailDNS: {
			"dial tcp: lookup orders on 10.96.0.10:53: no such host", "dial tcp: lookup orders on 10.96.0.10:53: read udp 10.0.0.1:5353->10.96.0.10:53: i/o timeout",
			"No such host is known. (orders:80)", "Name or service not known (orders:80)", "Temporary failure in name resolution", "getaddrinfo ENOTFOUND orders",
			"[Errno -2] Name or service not known", "[Errno -3] Temporary failure in name resolution", "Failed to resolve 'orders' [A(1)]", "java.net.UnknownHostException: orders",
			`could not translate host name "pg" to address: Name does not resolve`, "DNS resolution failed for orders:50051", "name resolver error: produced zero addresses",
			"Unknown MySQL server host 'db' (-2)", `failed to connect to "host=pg": hostname resolving error`,
		},
		DetailTLS: {
			"tls: failed to verify certificate: x509: certificate has expired or is not yet valid", "remote error: tls: bad certificate", "PKIX path validation failed: java.security.cert.X",
			"Received fatal alert: handshake_failure", "Remote host terminated the handshake", "The SSL connection could not be established, see inner exception.",
			"[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1129)", "certificate has expired", "self signed certificate in certificate chain",
			`connection error: desc = "transport: authentication handshake failed: EOF"`, "upstream connect error: TLS error: 268435581:SSL routines:OPENSSL_internal",
		},
		DetailAuth: {
			`FATAL: password authentication failed for user "shop" (SQLSTATE 28P01)`, `password authentication failed for user "shop"`, `no pg_hba.conf entry for host "10.0.0.1", user "shop"`,
			"Access denied for user 'shop'@'10.0.0.1' (using password: YES)", "Error 1045 (28000): Access denied for user 'shop'", "Login failed for user 'shop'.", "ORA-01017: invalid username/password; logon denied",
			"NOAUTH Authentication required.", "WRONGPASS invalid username-password pair or user is disabled.", "rpc error: code = Unauthenticated desc = no token",
			"rpc error: code = PermissionDenied desc = no", "401 Unauthorized", "permission denied for table stock", "Authentication failed.", "Bad credentials", "token is expired by 5m",
		},
		DetailNone: {
			"", "boom", "dial tcp 10.0.0.1:80: connect: connection refused", "net/http: TLS handshake timeout", "dial tcp: lookup orders: operation was canceled", "context canceled", "open /data: permission denied",
			"websocket: bad handshake", "no rows in result set",
		},
	} {
		for _, message := range messages {
			for _, of := range everyKind {
				for _, wrapper := range []string{"", "*net.OpError", "psycopg2.OperationalError", "System.Net.Http.HttpRequestException", "Error"} {
					c := shape{kind: of, status: ptrace.StatusCodeError, exception: [2]string{wrapper, message}}.read(t)
					require.Equal(t, want, c.Detail, "%s %q", wrapper, message)
				}
				c := shape{kind: of, status: ptrace.StatusCodeError, message: message}.read(t)
				require.Equal(t, want, c.Detail, "status %q", message)
			}
		}
	}
	// A type that tells the family may still wrap the reason.
	c := shape{kind: client, status: ptrace.StatusCodeError, exception: [2]string{"requests.exceptions.ConnectionError", "Failed to resolve 'orders'"}}.read(t)
	require.Equal(t, DetailDNS, c.Detail)
	require.Equal(t, ReasonUnreachable, c.Reason)
}

// TestDetailOfCodes: codes say it alone, and are surer than words.
func TestDetailOfCodes(t *testing.T) {
	for name, tc := range map[string]struct {
		attrs
		message string
		want    Detail
	}{
		"401":                      {attrs{"http.response.status_code": 401}, "", DetailAuth},
		"403, old":                 {attrs{"http.status_code": 403}, "", DetailAuth},
		"407":                      {attrs{"http.status_code": 407}, "", DetailAuth},
		"404":                      {attrs{"http.status_code": 404}, "", DetailNone},
		"401 in error.type alone":  {attrs{"http.request.method": "GET", "error.type": "401"}, "", DetailAuth},
		"526":                      {attrs{"http.status_code": 526}, "", DetailTLS},
		"500 with its reason":      {attrs{"http.status_code": 500}, "x509: certificate has expired", DetailTLS},
		"503, behind it a login":   {attrs{"http.status_code": 503}, "rpc error: code = Unauthenticated desc = x", DetailAuth},
		"200 and a bad body":       {attrs{"http.status_code": 200}, "unexpected token", DetailNone},
		"400 of a cloud API":       {attrs{"rpc.system": "aws-api", "http.status_code": 400, "error.type": "AccessDeniedException"}, "", DetailAuth},
		"gRPC 16":                  {attrs{"rpc.system": "grpc", "rpc.grpc.status_code": 16}, "", DetailAuth},
		"gRPC by name":             {attrs{"rpc.system": "grpc", "rpc.status_code": "PERMISSION_DENIED"}, "", DetailAuth},
		"gRPC in error.type":       {attrs{"rpc.system": "grpc", "error.type": "UNAUTHENTICATED"}, "", DetailAuth},
		"Connect":                  {attrs{"rpc.system": "connect_rpc", "rpc.connect_rpc.error_code": "permission_denied"}, "", DetailAuth},
		"gRPC 14, name unknown":    {attrs{"rpc.system": "grpc", "rpc.grpc.status_code": 14}, "dns: A record lookup error: lookup x: no such host", DetailDNS},
		"gRPC 14, no trust":        {attrs{"rpc.system": "grpc", "rpc.grpc.status_code": 14}, "transport: authentication handshake failed: tls: x", DetailTLS},
		"gRPC 14":                  {attrs{"rpc.system": "grpc", "rpc.grpc.status_code": 14}, "", DetailNone},
		"gRPC 5":                   {attrs{"rpc.system": "grpc", "rpc.grpc.status_code": 5}, "", DetailNone},
		"PostgreSQL 28P01":         {attrs{"db.system": "postgresql", "db.response.status_code": "28P01"}, "", DetailAuth},
		"PostgreSQL 28000":         {attrs{"db.system": "postgresql", "db.response.status_code": 28000}, "", DetailAuth},
		"PostgreSQL 42501":         {attrs{"db.system": "postgresql", "error.type": "42501"}, "", DetailAuth},
		"PostgreSQL 42P01":         {attrs{"db.system": "postgresql", "db.response.status_code": "42P01"}, "", DetailNone},
		"PostgreSQL 08001":         {attrs{"db.system": "postgresql", "db.response.status_code": "08001"}, "java.net.UnknownHostException: pg", DetailDNS},
		"PostgreSQL, both":         {attrs{"db.system": "postgresql", "db.response.status_code": "28000"}, "x509", DetailAuth},
		"PostgreSQL in a message":  {attrs{"db.system": "postgresql"}, "ERROR: x (SQLSTATE 28000)", DetailAuth},
		"MySQL 1045":               {attrs{"db.system": "mysql", "db.response.status_code": 1045}, "", DetailAuth},
		"MySQL, joined":            {attrs{"db.system": "mysql", "db.response.status_code": "1045/28000"}, "", DetailAuth},
		"MySQL, SQLSTATE":          {attrs{"db.system": "mysql", "db.response.status_code": "28000"}, "", DetailAuth},
		"MySQL 2005":               {attrs{"db.system": "mysql", "db.response.status_code": "2005"}, "", DetailDNS},
		"MySQL 2026":               {attrs{"db.system": "mysql", "db.response.status_code": 2026}, "", DetailTLS},
		"MySQL 2013":               {attrs{"db.system": "mysql", "db.response.status_code": 2013}, "", DetailNone},
		"SQL Server 18456":         {attrs{"db.system": "mssql", "db.response.status_code": 18456}, "", DetailAuth},
		"SQL Server 11001":         {attrs{"db.system": "mssql", "db.response.status_code": "11001"}, "", DetailDNS},
		"MongoDB 18":               {attrs{"db.system": "mongodb", "db.response.status_code": "18"}, "", DetailAuth},
		"MongoDB 7":                {attrs{"db.system": "mongodb", "db.response.status_code": 7}, "", DetailDNS},
		"MongoDB 141":              {attrs{"db.system": "mongodb", "db.response.status_code": 141}, "", DetailTLS},
		"Redis":                    {attrs{"db.system": "redis", "db.response.status_code": "NOAUTH"}, "", DetailAuth},
		"Redis, of another matter": {attrs{"db.system": "redis", "db.response.status_code": "LOADING"}, "", DetailNone},
		"Elasticsearch":            {attrs{"db.system": "elasticsearch", "db.response.status_code": "403"}, "", DetailAuth},
	} {
		for _, of := range []ptrace.SpanKind{client, server} {
			if of == server && tc.attrs["db.system"] != nil {
				continue
			}
			c := shape{kind: of, status: ptrace.StatusCodeError, attrs: tc.attrs, message: tc.message}.read(t)
			require.Equal(t, tc.want, c.Detail, name)
		}
	}
}

// TestDetailWantsATrouble: of what is well, called off or cut nothing is told.
func TestDetailWantsATrouble(t *testing.T) {
	for name, s := range map[string]shape{
		"well":      {kind: client, exception: [2]string{"*net.DNSError", "no such host"}},
		"OK":        {kind: client, status: ptrace.StatusCodeOk, attrs: attrs{"error.type": "*net.DNSError"}},
		"cut":       {kind: client, status: ptrace.StatusCodeError, attrs: attrs{"error.type": "*net.DNSError", "breaker.rejected": true}},
		"cancelled": {kind: client, status: ptrace.StatusCodeError, attrs: attrs{"http.status_code": 499, "error.type": "*net.DNSError"}},
	} {
		require.Equal(t, DetailNone, s.read(t).Detail, name)
	}
}

// TestPartition: text now, a number before; the new name goes before the others.
func TestPartition(t *testing.T) {
	for want, sets := range map[string][]attrs{
		"7":    {{"messaging.destination.partition.id": "7"}, {"messaging.kafka.destination.partition": 7}, {"messaging.kafka.source.partition": 7}, {"messaging.kafka.partition": "7"}},
		"0":    {{"messaging.kafka.destination.partition": 0}, {"messaging.destination.partition.id": "0", "messaging.kafka.destination.partition": 3}},
		"4711": {{"messaging.kafka.partition": 4711}},
		"a":    {{"messaging.destination.partition.id": "a", "messaging.kafka.partition": 1}},
		"":     {{}, {"messaging.kafka.partition": -1}, {"messaging.destination.partition.id": ""}},
	} {
		for _, a := range sets {
			a["messaging.system"] = "kafka"
			for _, of := range []ptrace.SpanKind{producer, consumer, client} {
				require.Equal(t, want, shape{kind: of, attrs: a}.read(t).Partition, a)
			}
		}
	}
	require.Len(t, shape{kind: producer, attrs: attrs{"messaging.destination.partition.id": long}}.read(t).Partition, MaxName)
}
