// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"encoding/binary"
	"math"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Read replaces the batch's contents by the facts of td. It changes nothing in td. Every span of
// td is either in Calls or counted once in Skipped under a reason that Drops.
func (b *Batch) Read(td ptrace.Traces) {
	b.Resources, b.Calls, b.links = b.Resources[:0], b.Calls[:0], b.links[:0]
	b.Skipped = [NumSkips]int{}
	for i, rss := 0, td.ResourceSpans(); i < rss.Len(); i++ {
		rs := rss.At(i)
		resource, wrong := readResource(rs.Resource().Attributes())
		b.Skipped[SkipWrongType] += wrong
		b.Resources = append(b.Resources, resource)
		for j, sss := 0, rs.ScopeSpans(); j < sss.Len(); j++ {
			spans := sss.At(j).Spans()
			for k := range spans.Len() {
				span := spans.At(k)
				if skip, ok := b.usable(i, span); !ok {
					b.Skipped[skip]++
					continue
				}
				c := b.next()
				c.Resource, c.ResourceSpans, c.ScopeSpans, c.Span = int32(i), int32(i), int32(j), int32(k)
				b.read(c, span)
			}
		}
	}
}

// next returns a zero Call at the end of Calls, in room used before if there is some.
func (b *Batch) next() *Call {
	if len(b.Calls) < cap(b.Calls) {
		b.Calls = b.Calls[:len(b.Calls)+1]
		c := &b.Calls[len(b.Calls)-1]
		*c = Call{}
		return c
	}
	b.Calls = append(b.Calls, Call{})
	return &b.Calls[len(b.Calls)-1]
}

// usable tells whether the span can be analysed, and why not.
func (b *Batch) usable(resource int, span ptrace.Span) (Skip, bool) {
	id := span.SpanID()
	start, end := span.StartTimestamp(), span.EndTimestamp()
	switch {
	case id.IsEmpty() || span.TraceID().IsEmpty():
		return SkipNoIDs, false
	case b.Resources[resource].Service == "":
		return SkipNoService, false
	case start == 0 || end == 0 || start > math.MaxInt64 || end > math.MaxInt64:
		return SkipNoTime, false
	case end < start:
		return SkipNegative, false
	case id == span.ParentSpanID():
		return SkipSelfParent, false
	}
	return 0, true
}

// Bits of the span's flags beyond those of W3C: whether the parent is in another process.
const (
	flagHasIsRemote = 0x100
	flagIsRemote    = 0x200
)

// read fills c, which is zero but for its place, from a usable span.
func (b *Batch) read(c *Call, span ptrace.Span) {
	c.TraceID = span.TraceID()
	id, parent := span.SpanID(), span.ParentSpanID()
	c.SpanID, c.ParentID = binary.BigEndian.Uint64(id[:]), binary.BigEndian.Uint64(parent[:])
	c.HasParent = c.ParentID != 0
	const remote = flagHasIsRemote | flagIsRemote
	c.Remote = c.HasParent && span.Flags()&remote == remote
	c.Start, c.End = int64(span.StartTimestamp()), int64(span.EndTimestamp())
	c.Role = role(span.Kind())
	c.Weight = weight(span.TraceState().AsRaw())

	r := &b.raw
	*r = raw{}
	b.attributes(r, span.Attributes())
	c.Protocol = r.protocol()
	c.Attempt = uint8(min(max(r.resend, 0), math.MaxUint8))
	c.Group, c.Partition = clip(r.mqGroup.value), clip(r.mqPartition)
	r.readPeer(&c.Peer, c.Role, c.Protocol)
	b.readOperation(&c.Operation, r, c.Role, c.Protocol, span.Name())
	b.readOutcome(c, r, span)
	c.Links = b.readLinks(span.Links())
}

func (b *Batch) attributes(r *raw, attrs pcommon.Map) {
	for key, v := range attrs.All() {
		b.attribute(r, key, v)
	}
}

// readLinks copies the first MaxLinks usable links into the batch's arena.
func (b *Batch) readLinks(links ptrace.SpanLinkSlice) []Link {
	n := links.Len()
	if n == 0 {
		return nil
	}
	from := len(b.links)
	for i := range min(n, MaxLinks) {
		link := links.At(i)
		id := link.SpanID()
		if id.IsEmpty() || link.TraceID().IsEmpty() {
			continue
		}
		b.links = append(b.links, Link{TraceID: link.TraceID(), SpanID: binary.BigEndian.Uint64(id[:])})
	}
	b.Skipped[SkipLinks] += max(n-MaxLinks, 0)
	return b.links[from:len(b.links):len(b.links)]
}

func role(kind ptrace.SpanKind) Role {
	switch kind {
	case ptrace.SpanKindServer:
		return RoleServer
	case ptrace.SpanKindClient:
		return RoleClient
	case ptrace.SpanKindProducer:
		return RoleProducer
	case ptrace.SpanKindConsumer:
		return RoleConsumer
	}
	return RoleInternal
}
