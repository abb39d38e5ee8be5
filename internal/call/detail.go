// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import "strings"

// detailPattern is a word, in lower case, that gives a detail away wherever it stands.
type detailPattern struct {
	word   string
	detail Detail
}

// typeDetails are for names of error types. The first of the list wins: .NET's AuthenticationException is of TLS.
var typeDetails = []detailPattern{
	{"unknownhost", DetailDNS}, // Java
	{"dnserror", DetailDNS},    // Go, aiohttp
	{"resolver.dns", DetailDNS},
	{"dnsname", DetailDNS}, // Netty
	{"unresolvedaddress", DetailDNS},
	{"name_resolution", DetailDNS}, // .NET
	{"nameresolution", DetailDNS},  // urllib3
	{"gaierror", DetailDNS},        // Python
	{"hostnotfound", DetailDNS},
	{"eai_", DetailDNS}, // Node

	{"x509", DetailTLS},
	{"certificate", DetailTLS},
	{"certverif", DetailTLS},   // Python
	{"certpath", DetailTLS},    // Java
	{"cert_", DetailTLS},       // Node: CERT_HAS_EXPIRED
	{"signed_cert", DetailTLS}, // Node: DEPTH_ZERO_SELF_SIGNED_CERT
	{"issuer_cert", DetailTLS},
	{"leaf_signature", DetailTLS},
	{"_tls_", DetailTLS},
	{"_ssl_", DetailTLS},
	{"tls.", DetailTLS}, // Go
	{"ssl.", DetailTLS}, // Java, Python, Netty
	{"sslerror", DetailTLS},
	{"sslexception", DetailTLS},
	{"sslhandshake", DetailTLS},
	{"tlshandshake", DetailTLS},
	{"secure_connection", DetailTLS},              // .NET
	{"system.security.authentication", DetailTLS}, // .NET

	{"unauthenticated", DetailAuth},
	{"authentication", DetailAuth},
	{"unauthorized", DetailAuth},
	{"notauthorized", DetailAuth},
	{"authorizationexception", DetailAuth}, // Kafka
	{"invalidauthorization", DetailAuth},   // JDBC, psycopg
	{"invalidpassword", DetailAuth},
	{"insufficientprivilege", DetailAuth},
	{"badcredentials", DetailAuth},
	{"permissiondenied", DetailAuth},
	{"permission_denied", DetailAuth},
	{"accessdenied", DetailAuth},
	{"access_denied", DetailAuth}, // mysql2: ER_ACCESS_DENIED_ERROR
	{"forbidden", DetailAuth},
	{"autherror", DetailAuth},
	{"mongosecurity", DetailAuth},
	{"expiredtoken", DetailAuth}, // AWS
	{"tokenexpired", DetailAuth},
	{"invalidclienttoken", DetailAuth},
	{"unrecognizedclient", DetailAuth},
	{"signaturedoesnotmatch", DetailAuth},
}

// messageDetails are for texts written for people.
var messageDetails = []detailPattern{
	{"no such host", DetailDNS}, // Go, .NET on Windows
	{"tcp: lookup ", DetailDNS}, // Go, whatever its resolver met with
	{"udp: lookup ", DetailDNS},
	{"name or service", DetailDNS}, // glibc
	{"name resolution", DetailDNS},
	{"nameresolution", DetailDNS},
	{"name does not resolve", DetailDNS},      // musl
	{"nodename nor servname", DetailDNS},      // BSD
	{"no address associated with", DetailDNS}, // Java, glibc
	{"unknown host", DetailDNS},
	{"unknownhost", DetailDNS}, // Java, as a cause
	{"unknown mysql server host", DetailDNS},
	{"getaddrinfo", DetailDNS},      // Node, Python
	{"not resolve host", DetailDNS}, // curl
	{"resolve hostname", DetailDNS},
	{"failed to resolve", DetailDNS},        // Netty, urllib3
	{"translate host name", DetailDNS},      // libpq
	{"dns resolution failed", DetailDNS},    // gRPC core
	{"produced zero addresses", DetailDNS},  // gRPC for Go
	{"unable to resolve host", DetailDNS},   // gRPC for Java
	{"hostname resolving error", DetailDNS}, // pgx
	{"nxdomain", DetailDNS},
	{"x509", DetailTLS}, // Go
	{"certificate", DetailTLS},
	{"tls: ", DetailTLS}, // Go
	{"tls handshake", DetailTLS},
	{"ssl handshake", DetailTLS},
	{"sslhandshake", DetailTLS},             // Java, as a cause
	{"handshake failed", DetailTLS},         // gRPC for Go
	{"handshake_failure", DetailTLS},        // Java
	{"handshake failure", DetailTLS},        // OpenSSL
	{"terminated the handshake", DetailTLS}, // Java
	{"pkix path", DetailTLS},                // Java
	{"ssl connection", DetailTLS},           // .NET
	{"ssl routines", DetailTLS},             // OpenSSL
	{"ssl error", DetailTLS},
	{"wrong version number", DetailTLS},     // OpenSSL
	{"[ssl:", DetailTLS},                    // Python
	{"authentication failed", DetailAuth},   // PostgreSQL, MongoDB
	{"authentication required", DetailAuth}, // Redis
	{"authentication failure", DetailAuth},
	{"no pg_hba.conf entry", DetailAuth},
	{"access denied", DetailAuth}, // MySQL
	{"login failed", DetailAuth},  // SQL Server
	{"logon denied", DetailAuth},  // Oracle
	{"wrongpass", DetailAuth},     // Redis
	{"noauth ", DetailAuth},
	{"permission denied for", DetailAuth}, // PostgreSQL
	{"permissiondenied", DetailAuth},      // gRPC for Go
	{"permission_denied", DetailAuth},
	{"unauthenticated", DetailAuth},
	{"unauthorized", DetailAuth},
	{"not authorized", DetailAuth},
	{"forbidden", DetailAuth},
	{"invalid credentials", DetailAuth},
	{"bad credentials", DetailAuth}, // Spring
	{"invalid password", DetailAuth},
	{"invalid username", DetailAuth},
	{"invalid api key", DetailAuth},
	{"token is expired", DetailAuth},
	{"token has expired", DetailAuth},
	{"token expired", DetailAuth},
}

// readDetail looks for the detail in what was written for people, unless it is known.
func (c *Call) readDetail(kind string, e *exception, message string) {
	if c.Detail != DetailNone {
		return
	}
	classOfType(kind, &c.Detail)
	classOfType(e.kind, &c.Detail)
	classOfMessage(e.message, &c.Detail)
	classOfMessage(message, &c.Detail)
}

// settleDetail completes the detail of a call that is judged: a code is surer than words.
func (c *Call) settleDetail(r *raw) {
	switch {
	case c.Outcome == OK, c.Reason == ReasonCancelled, c.Reason == ReasonRejected:
		c.Detail = DetailNone
		return
	case r.errorType == "ENOTFOUND" && c.Detail == DetailNone: // as a part of a word it stands in NoteNotFound
		c.Detail = DetailDNS
	case c.Reason == ReasonTimeout && c.Detail == DetailTLS: // no answer to a handshake is no answer
		c.Detail = DetailNone
	}
	if d := r.codeDetail(c); d != DetailNone {
		c.Detail = d
	}
}

// codeDetail is what status codes say of the detail, looked up as codeVerdict does.
func (r *raw) codeDetail(c *Call) Detail {
	if n, ok := r.httpStatus(c.Protocol); ok && n >= 400 {
		return httpDetail(n)
	}
	switch c.Protocol {
	case ProtocolRPC:
		word := r.rpcCode
		if word.rank == 0 {
			if r.errorType == "" {
				return DetailNone
			}
			word = code{text: r.errorType, rank: 1}
		}
		switch grpcCode(&word) {
		case grpcPermissionDenied, grpcUnauthenticated:
			return DetailAuth
		}
	case ProtocolDatabase:
		if d := databaseDetail(c.Peer.System, r.dbCode); d != DetailNone || r.errorType == "" {
			return d
		}
		return databaseDetail(c.Peer.System, code{text: r.errorType, rank: 1})
	}
	return DetailNone
}

func httpDetail(status int64) Detail {
	switch status {
	case 401, 403, 407, 511:
		return DetailAuth
	case 495, 496, 525, 526: // nginx and Cloudflare: certificate bad, missing; handshake failed, certificate invalid
		return DetailTLS
	}
	return DetailNone
}

// databaseDetail judges db.response.status_code, or several that come joined by slashes.
func databaseDetail(system string, c code) Detail {
	for text := c.text; strings.IndexByte(text, '/') >= 0; {
		var one string
		one, text, _ = strings.Cut(text, "/")
		if d := vendorDetail(system, &code{text: one, rank: 1}); d != DetailNone {
			return d
		}
		c = code{text: text, rank: 1}
	}
	return vendorDetail(system, &c)
}

func vendorDetail(system string, c *code) Detail {
	n, isInt := c.int()
	switch system {
	case "mysql", "mariadb":
		if isInt && n < 10000 && len(c.text) < 5 {
			return mysqlDetail(n)
		}
	case "microsoft.sql_server", "azure.sql":
		if isInt && !strings.HasPrefix(c.text, "0") {
			return sqlServerDetail(n)
		}
	case "elasticsearch", "opensearch", "azure.cosmosdb", "couchdb", "aws.dynamodb", "influxdb":
		return httpDetail(n)
	case "mongodb":
		return mongoDetail(n)
	case "redis", "valkey", "memcached":
		switch word, _, _ := strings.Cut(c.text, " "); word {
		case "NOAUTH", "NOPERM", "WRONGPASS":
			return DetailAuth
		}
		return DetailNone
	}
	if isInt && c.text == "" && n/1000 == 28 { // a SQLSTATE of digits sent as a number
		return DetailAuth
	}
	return sqlStateDetail(c.text)
}

// sqlStateDetail: class 28 is a login that was refused, 42501 the want of a privilege (PostgreSQL).
func sqlStateDetail(s string) Detail {
	if isSQLState(s) && (strings.HasPrefix(s, "28") || s == "42501") {
		return DetailAuth
	}
	return DetailNone
}

func mysqlDetail(n int64) Detail {
	switch n {
	case 1044, 1045, 1130, 1142, 1143, 1227, 1251, 1698, 1820, 1862, 3118, 4151: // access, host, command denied; password expired; account locked
		return DetailAuth
	case 2005:
		return DetailDNS
	case 2026, 3159: // handshake failed, connection must be secure
		return DetailTLS
	}
	return DetailNone
}

func sqlServerDetail(n int64) Detail {
	switch n {
	case 229, 18452, 18456, 18470, 18486, 18487, 18488, 40615: // permission denied; login failed, disabled, locked, expired; firewall
		return DetailAuth
	case 11001:
		return DetailDNS
	}
	return DetailNone
}

func mongoDetail(n int64) Detail {
	switch n {
	case 11, 13, 18, 391, 8000: // no such user, unauthorized, authentication failed, again required, Atlas
		return DetailAuth
	case 7:
		return DetailDNS
	case 140, 141: // TLS misconfigured, handshake failed
		return DetailTLS
	}
	return DetailNone
}
