// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

// slot holds the best hit so far of one row of the look-up table: the value whose attribute
// stands first in the row wins, whatever order the attributes come in.
type slot struct {
	value string
	rank  uint8 // 1 is the first attribute of the row; 0: nothing yet
}

func (s *slot) put(rank uint8, value string) {
	if value != "" && (s.rank == 0 || rank < s.rank) {
		s.value, s.rank = value, rank
	}
}

// code is a slot for a status code, which comes as a number or as text.
type code struct {
	text   string // set when it came as text
	number int64  // set when it came as a number
	rank   uint8
}

func (c *code) putText(rank uint8, value string) {
	if value != "" && (c.rank == 0 || rank < c.rank) {
		*c = code{text: value, rank: rank}
	}
}

func (c *code) putNumber(rank uint8, value int64) {
	if c.rank == 0 || rank < c.rank {
		*c = code{number: value, rank: rank}
	}
}

// raw is what one span's attributes say, before it is decided what they mean.
type raw struct {
	peerNamespace string // service.peer.namespace
	peer          slot
	address       slot
	instance      slot
	faas          string
	genAI         string

	serverPort, netPeerPort, networkPeerPort, sockPeerPort int32

	dbSystem, dbNamespace, dbCollection, dbOperation, dbQuery slot
	dbSummary                                                 string
	dbCode                                                    code

	method, route slot
	httpCode      code
	resend        int64

	rpcSystem  slot
	rpcService string
	rpcMethod  string
	rpcCode    code

	mqSystem      string
	mqDestination slot
	mqTemplate    string
	mqOperation   slot
	mqGroup       slot
	mqPartition   string
	mqTemporary   bool

	errorType string
	rejected  bool // breaker.rejected: cut by a breaker on the caller's side
}

// protocol tells the conventions that the span follows. An SDK of a cloud provider sends those of
// what it calls together with those of its transport, so the more telling one goes first.
func (r *raw) protocol() Protocol {
	switch {
	case r.mqSystem != "" || r.mqDestination.rank != 0 || r.mqOperation.rank != 0:
		return ProtocolMessaging
	case r.dbSystem.rank != 0:
		return ProtocolDatabase
	case r.rpcSystem.rank != 0 || r.rpcService != "" || r.rpcCode.rank != 0:
		return ProtocolRPC
	case r.method.rank != 0 || r.httpCode.rank != 0:
		return ProtocolHTTP
	}
	return ProtocolNone
}
