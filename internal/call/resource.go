// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// ReadResource reads who emitted a span or a log record. Attributes of wrong types are left out.
func ReadResource(attrs pcommon.Map) Resource {
	r, _ := readResource(attrs)
	return r
}

// readResource also returns how many attributes had a wrong type.
func readResource(attrs pcommon.Map) (r Resource, wrong int) {
	var environment, host slot
	for key, v := range attrs.All() {
		switch key {
		case "service.namespace", "service.name", "service.instance.id", "service.version",
			"deployment.environment.name", "deployment.environment", "host.name", "k8s.node.name",
			"cloud.availability_zone":
		default:
			continue
		}
		s := v.Str()
		if s == "" && v.Type() != pcommon.ValueTypeStr && v.Type() != pcommon.ValueTypeEmpty {
			wrong++
			continue
		}
		s = clip(s)
		switch key {
		case "service.namespace":
			r.Namespace = s
		case "service.name":
			// SDKs make up unknown_service:<executable> when nobody named the service.
			if !strings.HasPrefix(s, "unknown_service") {
				r.Service = s
			}
		case "service.instance.id":
			r.Instance = s
		case "service.version":
			r.Version = s
		case "deployment.environment.name":
			environment.put(1, s)
		case "deployment.environment":
			environment.put(2, s)
		case "host.name":
			host.put(1, s)
		case "k8s.node.name":
			host.put(2, s)
		case "cloud.availability_zone":
			r.Zone = s
		}
	}
	r.Environment, r.Host = environment.value, host.value
	return r, wrong
}

// Node is the display name of the resource's service: namespace/name, or name.
func (r *Resource) Node() string { return serviceName(r.Namespace, r.Service) }

// Key is the identity of the resource's service; it equals Peer.Key of the same service.
func (r *Resource) Key() uint64 { return key(NodeService, r.Namespace, r.Service, 0) }

// Clock is the identity of the clock that the resource's times tell: the host's where it is named, else the
// replica's, else the service's.
func (r *Resource) Clock() uint64 {
	switch {
	case r.Host != "":
		return key(NodeUnknown, "host", r.Host, 0)
	case r.Instance != "":
		return key(NodeUnknown, r.Service, r.Instance, 0)
	}
	return r.Key()
}
