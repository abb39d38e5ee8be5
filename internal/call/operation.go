// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import "strings"

// readOperation names what was asked. name is the span's.
func (b *Batch) readOperation(o *Operation, r *raw, role Role, protocol Protocol, name string) {
	switch protocol {
	case ProtocolHTTP:
		o.Verb = clip(r.method.value)
		switch {
		case r.route.rank != 0:
			o.Target = clip(r.route.value)
		case role == RoleClient && o.Verb != "":
			// The name may hold a path with ids, and most often is the method again.
		default:
			o.Target = b.names.masked(clip(strings.TrimPrefix(strings.TrimPrefix(name, o.Verb), " ")))
		}
	case ProtocolRPC:
		o.Target = b.rpcOperation(r, name)
	case ProtocolDatabase:
		b.databaseOperation(o, r, name)
	case ProtocolMessaging:
		o.Verb, o.Target = messagingVerb(r.mqOperation.value, role), clip(r.destination())
	default:
		o.Target = b.names.masked(clip(name))
	}
}

// rpcOperation is service/method; the newer rpc.method holds both.
func (b *Batch) rpcOperation(r *raw, name string) string {
	method := strings.TrimPrefix(r.rpcMethod, "/")
	switch {
	case method == "":
		return b.names.masked(clip(strings.TrimPrefix(name, "/")))
	case r.rpcService == "" || strings.IndexByte(method, '/') >= 0:
		return clip(method)
	}
	// The span's name is service/method by convention, and costs nothing.
	if n := len(r.rpcService); len(name) == n+1+len(method) && name[n] == '/' && name[:n] == r.rpcService && name[n+1:] == method {
		return clip(name)
	}
	return b.names.join(r.rpcService, '/', method)
}

// databaseOperation is the summary, else operation and collection, else what the statement's first
// words give away, else the span's name.
func (b *Batch) databaseOperation(o *Operation, r *raw, name string) {
	if r.dbSummary != "" {
		o.Verb, o.Target, _ = strings.Cut(clip(r.dbSummary), " ")
		o.Verb = sqlVerb(o.Verb)
		return
	}
	o.Verb, o.Target = sqlVerb(clip(r.dbOperation.value)), clip(r.dbCollection.value)
	if o.Verb == "" {
		verb, table := readStatement(r.dbQuery.value)
		o.Verb = verb
		if o.Target == "" {
			o.Target = clip(table)
		}
	}
	if o.Verb == "" && o.Target == "" {
		o.Target = b.names.masked(clip(name))
	}
}

// sqlVerb is the capital form of the common verbs, so that two instrumentations agree on them.
func sqlVerb(s string) string {
	for _, verb := range sqlVerbs {
		if len(verb) == len(s) && strings.EqualFold(verb, s) {
			return verb
		}
	}
	return s
}

var sqlVerbs = [...]string{
	"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "UPSERT", "REPLACE", "WITH", "CALL", "COPY", "LOCK", "BEGIN", "COMMIT",
	"ROLLBACK", "START", "SAVEPOINT", "SET", "SHOW", "TRUNCATE", "EXPLAIN", "CREATE", "ALTER", "DROP",
}

// maxStatement bounds how far a statement is read for its table.
const maxStatement = 1024

// readStatement finds verb and first table of a SQL statement. It is no parser: what it does not
// see at once it leaves out. verb is empty for languages other than SQL.
func readStatement(s string) (verb, table string) {
	if len(s) > maxStatement {
		s = s[:maxStatement]
	}
	word, rest := nextWord(s)
	if verb = sqlVerb(word); !knownVerb(verb) {
		return "", ""
	}
	var before string
	switch verb {
	case "SELECT", "DELETE", "WITH", "COPY":
		before = "FROM"
	case "INSERT", "REPLACE", "MERGE":
		before = "INTO"
	case "UPDATE":
		table, rest = nextWord(rest)
		if strings.EqualFold(table, "ONLY") {
			table, _ = nextWord(rest)
		}
		return verb, table
	default:
		return verb, ""
	}
	for rest != "" {
		if word, rest = nextWord(rest); len(word) == len(before) && strings.EqualFold(word, before) {
			if table, _ = nextWord(rest); !knownVerb(sqlVerb(table)) { // else a subquery
				return verb, table
			}
		}
	}
	return verb, ""
}

func knownVerb(s string) bool {
	for _, verb := range sqlVerbs {
		if verb == s {
			return true
		}
	}
	return false
}

// nextWord skips blanks, punctuation, and comments, and returns a word and what follows it.
// Quotes around names fall away.
func nextWord(s string) (word, rest string) {
	i := 0
	for i < len(s) && !wordByte[s[i]] {
		switch {
		case strings.HasPrefix(s[i:], "--"):
			n := strings.IndexByte(s[i:], '\n')
			if n < 0 {
				return "", ""
			}
			i += n
		case strings.HasPrefix(s[i:], "/*"):
			n := strings.Index(s[i:], "*/")
			if n < 0 {
				return "", ""
			}
			i += n + 1
		}
		i++
	}
	j := i
	for j < len(s) && wordByte[s[j]] {
		j++
	}
	return s[i:j], s[j:]
}

// wordByte marks the bytes of SQL words and dotted names.
var wordByte = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '$' || c >= 0x80
	}
	return t
}()
