// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import "go.opentelemetry.io/collector/pdata/pcommon"

// ExceptionType returns the type of the exception that a log record, or an event of a span, tells of; "" for none.
func ExceptionType(attrs pcommon.Map) string {
	v, ok := attrs.Get("exception.type")
	if !ok {
		return ""
	}
	return v.Str()
}
