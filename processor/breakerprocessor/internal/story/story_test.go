// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package story

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
)

var stories = []struct{ name, text string }{
	{"conformance H07: a failure is charged to the deepest failing edge", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => propagated
		    orders serves 2-98 fail
		      orders calls:payments 3-97 fail              => propagated
		        payments serves 4-96 fail
		          payments calls:db 5-95 timeout           => charged`},
	{"conformance H08: a failure that the caller handled is absorbed", `
		shop serves 0-100 ok
		  shop calls:ads 1-50 fail                         => charged absorbed`},
	{"absorbed half-way: what is above has not failed", `
		gateway serves 0-100 ok
		  gateway calls:shop 1-99 ok
		    shop serves 2-98 ok
		      shop calls:ads 3-50 fail                     => propagated absorbed
		        ads serves 4-49 fail
		          ads calls:db 5-48 fail                   => charged`},
	{"a service that fails by itself", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => charged
		    orders serves 2-98 fail
		      orders calls:db 3-50 ok`},
	{"a call that failed though its callee is content: the way there", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => charged
		    orders serves 2-98 ok
		      orders calls:db 3-50 fail                    => charged absorbed`},
	{"through internal spans, whatever they say of themselves", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => propagated
		    orders serves 2-98 fail
		      orders works 3-97 ok
		        orders works 4-96 ok
		          orders calls:db 5-95 fail                => charged`},
	{"a retry made it good: the service failed for another reason", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => charged
		    orders serves 2-98 fail
		      orders calls:db 3-20 fail                    => charged absorbed
		      orders calls:db 30-50 ok`},
	{"a success at another operation makes nothing good", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => propagated
		    orders serves 2-98 fail
		      orders calls:db/write 3-20 fail              => charged
		      orders calls:db/read 30-50 ok`},
	{"three attempts in vain", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => propagated
		    orders serves 2-98 fail
		      orders calls:db 3-20 fail                    => charged
		      orders calls:db 30-50 fail                   => charged
		      orders calls:db 60-90 fail                   => charged`},
	{"fan-out: another's success makes nothing good", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => propagated
		    orders serves 2-98 fail
		      orders calls:db 3-60 fail                    => charged
		      orders calls:db 4-90 ok`},
	{"attempts that overlap but say what they are", `
		gateway serves 0-100 ok
		  gateway calls:orders 1-60 fail                   => charged absorbed
		  gateway calls:orders 50-90 ok #1`},
	{"where attempts say what they are, a lower resend is of another piece of work", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-10 fail                   => charged absorbed
		  gateway calls:orders 11-20 fail #1               => charged
		  gateway calls:orders 21-30 fail #2               => charged
		  gateway calls:orders 31-40 fail                  => charged absorbed
		  gateway calls:orders 41-50 ok #1`},
	{"where attempts say what they are, a later first attempt is another piece of work", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-10 fail                   => charged absorbed
		  gateway calls:orders 11-20 ok #1
		  gateway calls:orders 21-30 fail                  => charged
		  gateway calls:orders 31-40 ok`},
	{"a failure that came after the answer does not explain it", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => charged
		    orders serves 2-50 fail
		      orders calls:audit 3-90 fail                 => charged`},
	{"but the end of one span need not be the end of the other", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => propagated
		    orders serves 2-50 fail
		      orders calls:db 3-54 fail                    => charged`},
	{"what nobody waited for explains nothing", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => charged
		    orders serves 2-50 fail
		      orders calls:audit 51-52 ok
		      orders works 50-80 ok
		        orders calls:audit 52-79 fail              => charged absorbed
		      orders calls:log 50-54 fail                  => charged absorbed`},
	{"a message that could not be sent fails who waited for that", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => propagated
		    orders serves 2-50 fail
		      orders sends:topic 3-20 fail                 => charged`},
	{"who takes a message explains nothing", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => charged
		    orders serves 2-50 fail
		      orders sends:topic 3-20 ok
		        mail takes 30-80 fail
		          mail calls:smtp 31-79 fail               => charged`},
	{"the answer of a further server is no part of one's own work", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => charged
		    orders serves 2-98 fail
		      stock serves 3-90 fail
		        stock calls:db 4-80 fail                   => charged`},
	{"calls that say nothing of the callee explain nothing", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => charged
		    orders serves 2-98 fail
		      orders calls:db 3-50 client
		      orders calls:db 51-60 cancelled`},
	{"a service whose own guard was closed passes on what the guard has seen", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => propagated
		    orders serves 2-98 rejected`},
	{"the guard may have left a span instead", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => propagated
		    orders serves 2-98 fail
		      orders works 3-50 ok
		        orders calls:db 4-5 rejected`},
	{"or tell of it in an internal span", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => propagated
		    orders serves 2-98 fail
		      orders works 3-50 rejected`},
	{"a guard within a call", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => propagated
		    gateway calls:orders.example 2-3 rejected`},
	{"a message that was sent again", `
		orders serves 0-100 fail
		  orders sends:topic 1-10 fail                     => charged absorbed
		  orders sends:topic 11-20 ok`},
	{"throttled behind, throttled in front", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 throttled              => propagated
		    orders serves 2-98 throttled
		      orders calls:db 3-50 throttled               => charged`},
	{"gave up while the callee waited for another", `
		gateway serves 0-1000 fail
		  gateway calls:orders 1-999 timeout               => propagated
		    orders serves 2-1500 ok
		      orders calls:db 3-1490 ok                    => givenup`},
	{"gave up, and those behind were called off", `
		gateway serves 0-1000 fail
		  gateway calls:orders 1-999 timeout               => propagated
		    orders serves 2-998 timeout
		      orders works 3-997 ok
		        orders calls:stock 4-996 cancelled
		          stock serves 5-995 cancelled
		            stock calls:db 6-994 cancelled         => givenup`},
	{"gave up, and the callee failed as those behind were called off", `
		gateway serves 0-1000 fail
		  gateway calls:orders 1-999 timeout               => propagated
		    orders serves 2-998 fail
		      orders calls:db 6-994 cancelled              => givenup`},
	{"gave up on one that was busy itself", `
		gateway serves 0-1000 fail
		  gateway calls:orders 1-999 timeout               => charged
		    orders serves 2-1500 ok
		      orders calls:db 3-400 ok`},
	{"gave up on one that had much else to do", `
		gateway serves 0-1000 fail
		  gateway calls:orders 1-999 timeout               => charged
		    orders serves 2-5000 ok
		      orders calls:db 3-700 ok`},
	{"gave up on one that had just begun to call", `
		gateway serves 0-1000 fail
		  gateway calls:orders 1-999 timeout               => charged
		    orders serves 2-1000 ok
		      orders calls:db 900-5000 ok`},
	{"gave up on one that waited for its own guard", `
		gateway serves 0-1000 fail
		  gateway calls:orders 1-999 timeout               => charged
		    orders serves 2-998 ok
		      orders calls:db 3-990 rejected`},
	{"gave up at once", `
		gateway serves 0-0 fail
		  gateway calls:orders 0-0 timeout                 => charged
		    orders serves 0-0 ok
		      orders calls:db 0-0 ok`},
	{"gave up on one that waited for a call that failed", `
		gateway serves 0-1000 fail
		  gateway calls:orders 1-999 timeout               => propagated
		    orders serves 2-1500 ok
		      orders calls:stock 3-1490 fail               => charged absorbed
		        stock serves 4-1480 ok
		          stock calls:db 5-1470 ok`},
	{"gave up on one that failed in time: by itself", `
		gateway serves 0-1000 fail
		  gateway calls:orders 1-999 timeout               => charged
		    orders serves 2-700 fail
		      orders calls:db 3-690 ok`},
	{"gave up because of the way there", `
		gateway serves 0-1000 fail
		  gateway calls:orders 1-999 timeout               => charged
		    orders serves 2-12 ok
		      orders calls:db 3-11 ok`},
	{"the way further on took the time", `
		gateway serves 0-1000 fail
		  gateway calls:orders 1-999 timeout               => propagated
		    orders serves 2-998 ok
		      orders calls:stock 3-997 ok                  => givenup
		        stock serves 500-520 ok
		          stock calls:db 501-519 ok`},
	{"gave up on one that waited for a failure that it then handled", `
		gateway serves 0-1000 fail
		  gateway calls:orders 1-999 timeout               => propagated
		    orders serves 2-1500 ok
		      orders calls:ads 3-1490 timeout              => charged absorbed`},
	{"gave up, and the callee's span has not arrived, what it did has", `
		gateway serves 0-1000 fail
		  gateway calls:orders 1-999 timeout               => propagated
		    orders serves 2-1500 ok missing
		      orders calls:cache 3-4 ok
		      orders calls:db 5-1490 ok                    => givenup`},
	{"the callee's span has not arrived, and what it did has failed", `
		gateway serves 0-1000 fail
		  gateway calls:orders 1-999 timeout               => propagated
		    orders serves 2-1500 ok missing
		      orders works 3-900 ok
		        orders calls:db 5-890 fail                 => charged`},
	{"clocks of two hosts are not compared: a failure", `
		gateway serves 0-62 fail
		  gateway calls:orders 1-60 fail                   => propagated
		    orders serves 80-142 fail missing
		      orders calls:db 81-140 fail                  => charged`},
	{"clocks of two hosts are not compared: time", `
		gateway serves 0-62 fail
		  gateway calls:orders 1-60 timeout                => propagated
		    orders serves 80-142 ok missing
		      orders calls:db 81-140 ok                    => givenup`},
	{"two calls at a time, and of each the callee's span has not arrived", `
		gateway serves 0-1000 fail
		  gateway calls:orders 1-500 fail                  => propagated
		    orders serves 60-490 fail missing
		      orders calls:db 61-490 fail                  => charged
		  gateway calls:orders 50-600 fail                 => propagated
		    orders serves 70-490 fail missing
		      orders calls:db 71-490 fail                  => charged`},
	{"not a call that had ended", `
		gateway serves 0-1000 fail
		  gateway calls:orders 1-100 timeout               => charged
		  gateway calls:orders 690-950 ok missing
		    orders serves 700-900 fail missing
		      orders calls:db 701-890 fail                 => charged`},
	{"not a call that had not begun", `
		gateway serves 0-2000 fail
		  gateway calls:orders 1-500 ok
		    orders serves 2-490 ok missing
		      orders calls:db 3-490 fail                   => charged absorbed
		  gateway calls:orders 1000-1500 fail              => charged`},
	{"of several calls the one that had begun last", `
		gateway serves 0-2000 fail
		  gateway calls:orders 1-500 timeout               => charged absorbed
		  gateway calls:orders 700-1500 ok
		    orders serves 701-1490 ok missing
		      orders calls:db 702-1490 fail                => charged absorbed`},
	{"nor one that reached nobody", `
		gateway serves 0-2000 ok
		  gateway calls:orders 1-500 ok
		    orders serves 2-490 ok missing
		      orders calls:db 10-490 fail                  => charged absorbed
		  gateway calls:orders 5-20 unreachable            => charged absorbed`},
	{"the spans of another service are not the callee's", `
		gateway serves 0-1000 fail
		  gateway calls:orders 1-999 timeout               => charged
		    stock serves 2-1500 ok missing
		      stock calls:db 5-1490 fail                   => charged`},
	{"a proxy between that emits no spans here", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => propagated
		    proxy calls:orders 2-98 fail missing
		      orders serves 3-97 fail
		        orders calls:db 5-90 fail                  => charged`},
	{"while the enclosing span is not there, nothing is absorbed", `
		orders serves 0-100 ok missing
		  orders calls:db 5-90 fail                        => charged
		  orders works 5-90 ok
		    orders calls:db 6-80 fail                      => charged`},
	{"a call that consists of others", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => propagated
		    gateway calls:orders.example 2-98 fail         => charged`},
	{"a call that consists of others, with an answer", `
		gateway serves 0-100 fail
		  gateway calls:orders 1-99 fail                   => propagated
		    gateway calls:orders.example 2-98 fail         => propagated
		      orders serves 3-97 fail
		        orders calls:db 4-96 fail                  => charged`},
	{"an SDK's attempts below one call count once", `
		orders serves 0-100 ok
		  orders calls:s3 1-99 ok
		    orders calls:s3 2-30 fail                      => charged absorbed
		    orders calls:s3 40-98 ok`},
	{"an SDK's attempts below one call, in vain", `
		orders serves 0-100 fail
		  orders calls:s3 1-99 fail                        => propagated
		    orders calls:s3 2-30 fail                      => charged
		    orders calls:s3 40-98 fail                     => charged`},
	{"a failure within a call that ended well, in work that failed", `
		orders serves 0-100 fail
		  orders calls:s3 1-99 ok
		    orders calls:auth 2-30 fail                    => charged absorbed`},
	{"a call that is all there is", `
		cron calls:db 0-10 fail                            => charged`},
	{"a job's call whose failure was handled", `
		cron works 0-100 ok
		  cron calls:db 0-10 fail                          => charged absorbed`},
	{"an edge that is not known", `
		gateway serves 0-100 fail
		  gateway calls:? 1-50 fail                        => charged
		  gateway calls:? 51-90 ok`},
	{"two that failed for themselves", `
		gateway serves 0-100 fail
		  gateway calls:stock 1-40 fail                    => charged
		    stock serves 2-39 fail
		  gateway calls:orders 1-90 fail                   => propagated
		    orders serves 2-89 fail
		      orders calls:db 3-88 fail                    => charged`},
}

func TestStories(t *testing.T) {
	for _, tt := range stories {
		t.Run(tt.name, func(t *testing.T) {
			d := draw(t, tt.text)
			s := d.tell()
			for i, m := range s.Meanings {
				id := d.spans[i].ID
				assert.Equal(t, d.want[id], m.text(), d.lines[id])
			}
		})
	}
}

func TestChain(t *testing.T) {
	// gateway -> s1 -> ... -> s40, and the last fails by itself: exactly one edge is charged.
	d := draw(t, `s0 serves 0-1000 fail`)
	id := uint64(1)
	for range 40 {
		from := d.spans[len(d.spans)-1]
		c := trace.Facts{
			ID: id + 1, Parent: id, Role: call.RoleClient, Op: uint32(100 + id), Instance: from.Instance,
			Start: from.Start(), End: from.End, Outcome: from.Outcome(), Reason: from.Reason(),
		}
		s := c
		s.ID, s.Parent, s.Role, s.Op, s.Instance = id+2, id+1, call.RoleServer, 0, c.Instance+1
		d.spans, d.tags = append(d.spans, trace.NewSpan(c), trace.NewSpan(s)), append(d.tags, 0, 0)
		id += 2
	}
	s := d.tell()
	assert.Len(t, s.Hurt, 1)
	assert.EqualValues(t, len(d.spans)-2, s.Hurt[0].Call)
	for i, m := range s.Meanings {
		switch {
		case i%2 == 0:
			assert.Equal(t, None, m.Verdict)
		case i < len(d.spans)-2:
			assert.Equal(t, Propagated, m.Verdict)
		default:
			assert.Equal(t, Charged, m.Verdict)
		}
	}
	assert.Len(t, s.Hurt[0].Upstream, MaxUpstream)
}
