// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"math/bits"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// String is the kind as it stands in attributes.
func (k NodeKind) String() string {
	return [...]string{"unknown", "service", "database", "messaging", "external"}[k]
}

// String is the display name of the node; with Kind it is the node's identity:
//
//	service:   namespace/name, or name
//	database:  system/namespace, else system/address, else system
//	messaging: system/destination, else system/address, else system
//	external:  address, or address:port where the port is not 80 or 443
//	unknown:   empty
func (p *Peer) String() string {
	first, second, port := p.identity()
	switch p.Kind {
	case NodeService:
		return serviceName(first, second)
	case NodeExternal:
		if port == 0 {
			return second
		}
		if strings.IndexByte(second, ':') >= 0 { // IPv6
			second = "[" + second + "]"
		}
		return second + ":" + strconv.Itoa(int(port))
	}
	if first == "" || second == "" {
		return first + second
	}
	return first + "/" + second
}

// Key is a hash of the identity: equal for equal kind and parts, whatever else the peers say.
// It allocates nothing. The key of NodeUnknown is 0.
func (p *Peer) Key() uint64 {
	if p.Kind == NodeUnknown {
		return 0
	}
	first, second, port := p.identity()
	return key(p.Kind, first, second, port)
}

// identity returns the parts that tell this node from others.
func (p *Peer) identity() (first, second string, port int32) {
	switch p.Kind {
	case NodeService:
		return p.Namespace, p.Name, 0
	case NodeDatabase, NodeMessaging:
		if p.Name == "" || p.Kind == NodeDatabase && isNumber(p.Name) {
			return p.System, p.Address, 0
		}
		return p.System, p.Name, 0
	case NodeExternal:
		if p.Port != 80 && p.Port != 443 {
			port = p.Port
		}
		return "", p.Address, port
	}
	return "", "", 0
}

// String is the operation for people: verb and target with a blank between.
func (o *Operation) String() string {
	if o.Verb == "" || o.Target == "" {
		return o.Verb + o.Target
	}
	return o.Verb + " " + o.Target
}

// Key is a hash of verb and target; it allocates nothing.
func (o *Operation) Key() uint64 { return key(0, o.Verb, o.Target, 0) }

// key hashes a kind and two strings so that moving a byte from one part to the next changes it.
func key(kind NodeKind, first, second string, port int32) uint64 {
	const k1, k2 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F // odd constants of xxHash64
	h := (uint64(kind)<<32 | uint64(uint32(port))) * k1
	h = bits.RotateLeft64(h^xxhash.Sum64String(first)*k2, 31) * k1
	h = bits.RotateLeft64(h^xxhash.Sum64String(second)*k2, 31) * k1
	return h ^ h>>32
}

func serviceName(namespace, name string) string {
	if namespace == "" || name == "" {
		return name
	}
	return namespace + "/" + name
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
