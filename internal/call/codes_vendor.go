// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import "strings"

// mysqlVerdict judges the error numbers of MySQL and MariaDB, servers and client library.
func mysqlVerdict(n int64) (v verdict, ok bool) {
	switch n {
	case 0:
		return verdict{}, false
	case 1040, 1203, 1226, 1041, 1037, 1038: // too many connections, out of memory
		return saturated, true
	case 1205, 1969, 3024: // lock wait timeout, statement timeout
		return failedTimeout, true
	case 1042, 1043, 1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1184,
		2002, 2003, 2005, 2006, 2013, 2026, 2055:
		return unreachable, true
	case 1021, 1030, 1105, 1114, 1290, 1836: // disk full, handler error, table full, read-only
		return failed, true
	}
	return callersFault, true
}

// sqlServerVerdict judges the error numbers of SQL Server and Azure SQL.
func sqlServerVerdict(n int64) (v verdict, ok bool) {
	switch n {
	case 0:
		return verdict{}, false
	case -2, 1222, 258: // client timeout, lock timeout
		return failedTimeout, true
	case 701, 8645, 8651, 10928, 10929, 40501, 49918, 49919, 49920:
		return saturated, true
	case -1, 2, 53, 64, 121, 233, 10053, 10054, 10060, 10061, 4060, 40197, 40613, 11001:
		return unreachable, true
	case 823, 824, 825, 1105, 3906, 9002:
		return failed, true
	}
	return callersFault, true
}

// mongoVerdict judges MongoDB's error numbers.
func mongoVerdict(n int64) (v verdict, ok bool) {
	switch n {
	case 0:
		return verdict{}, false
	case 24, 50, 202, 262: // lock, time limit
		return failedTimeout, true
	case 6, 7, 89, 91, 189, 9001, 10107, 11600, 11602, 13435, 13436:
		return unreachable, true
	case 8, 14031, 146:
		return failed, true
	}
	return callersFault, true
}

// redisVerdict judges the first word of a Redis or Valkey error.
func redisVerdict(s string) (v verdict, ok bool) {
	word, _, _ := strings.Cut(s, " ")
	switch word {
	case "OOM", "BUSY", "MAXCLIENTS":
		return saturated, true
	case "LOADING", "MASTERDOWN", "CLUSTERDOWN":
		return unreachable, true
	case "READONLY", "MISCONF", "NOREPLICAS", "IOERR", "TRYAGAIN", "UNKILLABLE":
		return failed, true
	case "WRONGTYPE", "NOAUTH", "NOPERM", "WRONGPASS", "NOSCRIPT", "EXECABORT", "CROSSSLOT", "MOVED", "ASK",
		"BUSYGROUP", "NOGROUP", "BUSYKEY":
		return callersFault, true
	}
	return verdict{}, false
}
