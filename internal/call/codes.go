// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import "strings"

// grpcNames are the canonical status codes in the order of their numbers.
var grpcNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
	"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
	"OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

const (
	grpcOK                = 0
	grpcCancelled         = 1
	grpcUnknown           = 2
	grpcDeadlineExceeded  = 4
	grpcPermissionDenied  = 7
	grpcResourceExhausted = 8
	grpcInternal          = 13
	grpcUnavailable       = 14
	grpcDataLoss          = 15
	grpcUnauthenticated   = 16
)

// grpcCode is the number of a status sent as number, as NAME, or as Connect's name; -1: none.
func grpcCode(c *code) int {
	if n, ok := c.int(); ok {
		if n < 0 || n >= int64(len(grpcNames)) {
			return -1
		}
		return int(n)
	}
	for i, name := range grpcNames {
		if sameWord(name, c.text) {
			return i
		}
	}
	if sameWord("CANCELED", c.text) { // one L in Go and in Connect
		return grpcCancelled
	}
	return -1
}

// sameWord compares without case and without '_', so that DeadlineExceeded is DEADLINE_EXCEEDED.
func sameWord(name, s string) bool {
	i := 0
	for j := range len(s) {
		if s[j] == '_' {
			continue
		}
		for i < len(name) && name[i] == '_' {
			i++
		}
		if i == len(name) || name[i]|0x20 != s[j]|0x20 {
			return false
		}
		i++
	}
	return i == len(name)
}

// grpcVerdict judges a gRPC status; ok is false for a number that is none.
func grpcVerdict(n int) (v verdict, ok bool) {
	switch n {
	case -1:
		return verdict{}, false
	case grpcOK:
		return verdict{}, true
	case grpcCancelled:
		return cancelled, true
	case grpcDeadlineExceeded:
		return failedTimeout, true
	case grpcResourceExhausted:
		return throttled, true
	case grpcUnknown, grpcInternal, grpcUnavailable, grpcDataLoss:
		return failed, true
	}
	return callersFault, true
}

// rpcVerdict judges the status of any RPC system. Systems other than gRPC and Connect have words
// of their own; of those only the families are known.
func rpcVerdict(c *code, system string) (v verdict, ok bool) {
	switch system {
	case "", "grpc", "connect_rpc", "connectrpc", "grpc_web":
		return grpcVerdict(grpcCode(c))
	}
	if c.text == "" {
		return verdict{}, false
	}
	if n := grpcCode(c); n >= 0 {
		return grpcVerdict(n)
	}
	if class := classOfType(c.text, new(Detail)); class != classNone {
		return class.refine(failed, true, RoleClient), true
	}
	return verdict{}, false
}

// grpcName is the status by its canonical name, or as it came.
func grpcName(c *code, n *names) string {
	if i := grpcCode(c); i >= 0 {
		return grpcNames[i]
	}
	return c.string(n)
}

// databaseVerdict judges db.response.status_code; ok is false when it says nothing. Several codes
// of one error come joined by slashes: the first that is known decides.
func databaseVerdict(system string, c *code) (v verdict, ok bool) {
	for text := c.text; strings.IndexByte(text, '/') >= 0; {
		var one code
		one.text, text, _ = strings.Cut(text, "/")
		if v, ok = vendorVerdict(system, &one); ok && v.outcome != OK {
			return v, true
		}
		c = &code{text: text, rank: 1}
	}
	return vendorVerdict(system, c)
}

func vendorVerdict(system string, c *code) (v verdict, ok bool) {
	n, isInt := c.int()
	switch system {
	case "mysql", "mariadb":
		if isInt && n < 10000 && len(c.text) < 5 { // beyond that it is a SQLSTATE
			return mysqlVerdict(n)
		}
	case "microsoft.sql_server", "azure.sql":
		if isInt && !strings.HasPrefix(c.text, "0") { // SQLSTATE 08001 does, a number never
			return sqlServerVerdict(n)
		}
	case "elasticsearch", "opensearch", "azure.cosmosdb", "couchdb", "aws.dynamodb", "influxdb":
		if isInt && n >= 400 && n < 600 {
			return httpVerdict(n, RoleClient), true
		}
		return verdict{}, false
	case "mongodb":
		if isInt {
			return mongoVerdict(n)
		}
		return verdict{}, false
	case "redis", "valkey", "memcached":
		return redisVerdict(c.text)
	}
	if isInt && c.text == "" && n >= 10000 && n <= 99999 { // a SQLSTATE of digits sent as a number
		return sqlClassVerdict(byte('0'+n/10000), byte('0'+n/1000%10), n == 57014, false)
	}
	return sqlStateVerdict(c.text)
}

// sqlStateVerdict judges five characters of SQLSTATE by class; the refinements are PostgreSQL's.
func sqlStateVerdict(s string) (v verdict, ok bool) {
	if !isSQLState(s) {
		return verdict{}, false
	}
	switch s {
	case "00000":
		return verdict{}, true
	case "25006": // read-only transaction: the server fell back to being a replica
		return failed, true
	case "55P03", "25P03", "25P04": // lock, idle and transaction timeouts
		return failedTimeout, true
	case "57014", "HYT00", "HYT01": // query cancelled, most often by statement_timeout
		return failedTimeout, true
	}
	return sqlClassVerdict(s[0], s[1], false, strings.HasPrefix(s, "57P"))
}

func sqlClassVerdict(c0, c1 byte, timeout, down bool) (v verdict, ok bool) {
	switch {
	case timeout:
		return failedTimeout, true
	case down: // shutting down, starting up
		return unreachable, true
	}
	switch string([]byte{c0, c1}) {
	case "00", "01", "02":
		return verdict{}, true
	case "08":
		return unreachable, true
	case "53":
		return saturated, true
	case "57", "58", "XX", "F0":
		return failed, true
	case "HY":
		return verdict{}, false // whatever the driver did not know better
	}
	return callersFault, true
}

// isSQLState wants five capitals or digits with a digit among them: words such as ERROR are none.
func isSQLState(s string) bool {
	if len(s) != 5 {
		return false
	}
	digits := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c < 'A' || c > 'Z':
			return false
		}
	}
	return digits > 0
}

// sqlState finds "SQLSTATE 23505" in a driver's message.
func sqlState(message string) string {
	const mark = "SQLSTATE"
	if len(message) > maxScan {
		message = message[:maxScan]
	}
	i := strings.Index(message, mark)
	if i < 0 {
		return ""
	}
	rest := strings.TrimLeft(message[i+len(mark):], ":=[ ")
	if len(rest) < 5 || !isSQLState(rest[:5]) {
		return ""
	}
	return rest[:5]
}
