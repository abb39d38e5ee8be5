// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import "strings"

// Places in the row of addresses that need parsing.
const (
	addressURL  = 7 // and 8
	addressHost = 9
)

// peer tells who is on the other side of the span.
func (r *raw) readPeer(p *Peer, role Role, protocol Protocol) {
	switch {
	case protocol == ProtocolMessaging && role != RoleInternal && role != RoleServer:
		r.readAddress(p)
		p.Kind = NodeMessaging
		p.System = messagingSystem(r.mqSystem)
		if p.Name = clip(r.destination()); p.Name == "" {
			p.Name = clip(r.peer.value)
		}
	case protocol == ProtocolDatabase && (role == RoleClient || role == RoleInternal):
		r.readAddress(p)
		p.Kind = NodeDatabase
		p.System = clip(databaseSystem(r.dbSystem.value))
		// The namespace is what all callers of one database agree on; a name that one caller gave
		// to its host comes second, so that the node is not split by who calls it.
		p.Name = clip(databaseName(p.System, r.dbNamespace.value))
		if r.peer.rank != 0 && (p.Name == "" || isNumber(p.Name)) {
			p.Name = clip(r.peer.value)
		}
	case !role.Outgoing():
	case r.peer.rank != 0:
		r.readAddress(p)
		p.Kind = NodeService
		p.Name = clip(r.peer.value)
		if r.peer.rank == 1 {
			p.Namespace = clip(r.peerNamespace)
		}
	case r.faas != "":
		r.readAddress(p)
		p.Kind = NodeService
		p.Name = clip(r.faas)
	default:
		r.readAddress(p)
		if p.Address == "" {
			// Nothing says where the callee runs; what it offers still tells it from others.
			p.Address = clip(r.offered())
		}
		if p.Address != "" {
			p.Kind = NodeExternal
		}
	}
}

// offered is the RPC service or the AI provider that was called.
func (r *raw) offered() string {
	if r.rpcService != "" {
		return r.rpcService
	}
	if r.rpcSystem.rank != 0 {
		if service, _, ok := cutLast(strings.TrimPrefix(r.rpcMethod, "/"), '/'); ok {
			return service
		}
	}
	return r.genAI
}

// readAddress resolves the address with the port that belongs to it, and the replica.
func (r *raw) readAddress(p *Peer) {
	address, port := r.address.value, int32(0)
	switch rank := r.address.rank; rank {
	case 0:
		return
	case 1:
		if port = r.serverPort; port == 0 {
			port = r.netPeerPort
		}
	case 3:
		port = r.networkPeerPort
	case 4, 5:
		if port = r.sockPeerPort; port == 0 {
			port = r.netPeerPort
		}
	case addressURL, addressURL + 1:
		address, port = splitHostPort(hostOfURL(address))
	case addressHost:
		address, port = splitHostPort(address)
	default:
		port = r.netPeerPort
	}
	// gRPC targets keep their scheme in some languages: dns:///orders:8080.
	if i := strings.Index(address, ":///"); i >= 0 {
		address = address[i+4:]
	}
	host, embedded := splitHostPort(address)
	if port == 0 {
		port = embedded
	}
	p.Address, p.Port = clip(host), port

	instancePort := r.netPeerPort
	switch r.instance.rank {
	case 0:
		return
	case 1:
		instancePort = r.networkPeerPort
	case 2:
		if r.sockPeerPort != 0 {
			instancePort = r.sockPeerPort
		}
	}
	if r.instance.value == host && (instancePort == 0 || instancePort == port) {
		return
	}
	p.Instance, p.InstancePort = clip(r.instance.value), instancePort
}

// hostOfURL returns the host, with its port if it has one, of an absolute URL.
func hostOfURL(url string) string {
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	if _, host, ok := cutLast(rest, '@'); ok {
		return host
	}
	return rest
}

// splitHostPort parts host:port, [v6]:port and bare hosts. Anything else is a host as it stands.
func splitHostPort(s string) (host string, port int32) {
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return s, 0
		}
		return s[1:end], parsePort(strings.TrimPrefix(s[end+1:], ":"))
	}
	i := strings.IndexByte(s, ':')
	if i < 0 || strings.IndexByte(s[i+1:], ':') >= 0 { // none, or a bare IPv6
		return s, 0
	}
	if port = parsePort(s[i+1:]); port == 0 {
		return s, 0
	}
	return s[:i], port
}

func parsePort(s string) int32 {
	n, ok := parseInt(s)
	if !ok || n <= 0 || n > 65535 {
		return 0
	}
	return int32(n)
}

// cutLast is strings.Cut at the last sep.
func cutLast(s string, sep byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
