// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package story

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRetries(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []uint64 // lines that repeat a call that failed, from 1
	}{
		"retries": {`
			gateway serves 0-100 ok
			  gateway calls:orders/place 1-10 fail
			  gateway calls:orders/place 20-30 timeout
			  gateway calls:orders/list 31-32 ok
			  gateway calls:orders/place 40-50 ok`,
			[]uint64{3, 5}},
		"in vain, by two layers": {`
			gateway serves 0-100 fail
			  gateway calls:orders 1-40 fail
			    orders serves 1-40 fail
			      orders calls:db 2-10 fail
			      orders calls:db 20-30 fail
			  gateway calls:orders 41-90 fail
			    orders serves 41-89 fail
			      orders calls:db 42-50 fail
			      orders calls:db 60-70 fail`,
			[]uint64{5, 6, 9}},
		"a retry of what the caller called off": {`
			gateway serves 0-100 ok
			  gateway calls:orders 1-10 cancelled
			  gateway calls:orders 20-30 ok`,
			[]uint64{3}},
		"its own word": {`
			gateway serves 0-100 ok
			  gateway calls:orders 1-60 ok
			  gateway calls:orders 20-30 ok #1`,
			[]uint64{3}},
		"the parent has not arrived": {`
			gateway serves 0-100 ok missing
			  gateway calls:orders 1-10 fail
			  gateway calls:orders 20-30 ok`,
			[]uint64{3}},
		"fan-out and hedges": {`
			gateway serves 0-100 ok
			  gateway calls:orders 1-60 fail
			  gateway calls:orders 20-90 ok`, nil},
		"a loop": {`
			gateway serves 0-100 ok
			  gateway calls:orders 1-10 ok
			  gateway calls:orders 20-30 ok`, nil},
		"what a guard rejected was never sent": {`
			gateway serves 0-100 ok
			  gateway calls:orders 1-2 rejected
			  gateway calls:orders 20-30 ok`, nil},
		"another parent": {`
			gateway serves 0-100 ok
			  gateway works 1-10 ok
			    gateway calls:orders 1-10 fail
			  gateway calls:orders 20-30 ok`, nil},
		"roots": {`
			cron calls:orders 1-10 fail
			cron calls:orders 20-30 ok`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			d := draw(t, tt.text)
			var got []uint64
			for i, m := range d.tell().Meanings {
				if m.Retry {
					got = append(got, d.spans[i].ID)
				}
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestHurt(t *testing.T) {
	type want struct {
		edge          string
		call, parent  uint64 // lines, from 1; 0: none
		failed, first bool
		upstream      string
	}
	for name, tt := range map[string]struct {
		text   string
		entry  uint64
		failed bool
		want   []want
	}{
		"up to the root, each service once, each piece of work once": {`
			web calls:gateway 0-100 fail
			  gateway serves 1-99 fail
			    gateway calls:orders 2-98 fail
			      orders serves 3-97 fail
			        orders works 4-96 ok
			          orders calls:db 5-10 fail
			          orders calls:db 11-20 fail
			        orders calls:orders 21-90 fail
			          orders serves 22-89 fail
			            orders calls:db 23-80 fail`,
			2, true,
			[]want{{"orders->db", 6, 4, true, true, "orders gateway web"}, {"orders->db", 10, 9, true, false, "orders gateway web"}}},
		"a fallback": {`
			gateway serves 1-99 ok
			  gateway calls:shop 2-98 ok
			    shop serves 3-97 ok
			      shop calls:ads 4-50 fail`,
			1, false, []want{{"shop->ads", 4, 3, false, true, "shop gateway"}}},
		"made good, and failed for another reason": {`
			shop serves 3-97 fail
			  shop calls:ads 4-50 fail
			  shop calls:ads 51-60 ok`,
			1, true, []want{{"shop->ads", 2, 1, false, true, "shop"}}},
		"nobody waits for the reader of a message": {`
			shop serves 0-50 ok
			  shop sends:topic 10-11 ok
			    mail takes 20-40 fail
			      mail calls:smtp 21-39 fail`,
			1, false, []want{{"mail->smtp", 4, 3, true, true, "mail"}}},
		"given up": {`
			gateway serves 0-1000 fail
			  gateway calls:orders 1-999 timeout
			    orders serves 2-1500 ok
			      orders calls:db 3-1490 ok`,
			1, true, []want{{"orders->db", 4, 3, false, true, "orders gateway"}}},
		"by way of a span that has not arrived": {`
			gateway serves 0-1000 fail
			  gateway calls:orders 1-999 timeout
			    orders serves 2-1500 fail missing
			      orders calls:db 3-1490 fail`,
			1, true, []want{{"orders->db", 4, 0, false, true, "orders gateway"}}},
		"a request from one who is not observed": {`
			web calls:gateway 0-10 ok missing
			  gateway serves 1-9 fail
			    gateway calls:db 2-3 fail`,
			2, true, []want{{"gateway->db", 3, 2, true, true, "gateway"}}},
		"the reader of a message that has not arrived is nobody's answer": {`
			gateway serves 0-100 ok
			  gateway calls:mail 1-60 ok
			  gateway sends:topic 2-3 ok missing
			    mail takes 10-40 fail
			      mail calls:smtp 11-39 fail`,
			1, false, []want{{"mail->smtp", 5, 4, true, true, "mail"}}},
		"what else hangs below a span that has not arrived": {`
			gateway serves 0-100 fail
			  gateway calls:orders 1-60 fail
			    orders serves 2-59 fail missing
			      orders calls:db 3-4 fail
			      stock serves 5-10 fail
			        stock calls:db 6-9 fail`,
			1, true, []want{{"orders->db", 4, 0, false, true, "orders gateway"}, {"stock->db", 6, 5, true, true, "stock"}}},
		"a root that begins after a part without one": {`
			web calls:gateway 10-100 fail
			  gateway serves 11-99 fail
			web calls:orders 0-50 fail missing
			  orders serves 1-50 ok`,
			2, true, []want{{"web->gateway", 1, 1, true, true, "web"}}},
		"a guard at the root": {`
			web calls:gateway 0-1 rejected`,
			1, true, nil},
		"nothing but a call": {`
			web calls:gateway 0-10 fail`,
			1, true, []want{{"web->gateway", 1, 1, true, true, "web"}}},
		"nobody knows what began it": {`
			gateway serves 0-10 ok missing
			  gateway calls:db 2-3 fail`,
			0, false, []want{{"gateway->db", 2, 0, false, true, "gateway"}}},
	} {
		t.Run(name, func(t *testing.T) {
			d := draw(t, tt.text)
			s := d.tell()
			line := func(i int32) uint64 {
				if i < 0 {
					return 0
				}
				return d.spans[i].ID
			}
			assert.Equal(t, tt.entry, line(s.Entry))
			assert.Equal(t, tt.failed, s.EntryFailed)
			var got []want
			for _, h := range s.Hurt {
				got = append(got, want{d.names[h.Edge], line(h.Call), line(h.Parent), h.Failed, h.First, d.services(h.Upstream)})
			}
			require.Equal(t, tt.want, got)
		})
	}
}

// There is room for all of them.
func TestManyGivenUp(t *testing.T) {
	text := "gateway serves 0-1000 fail\n"
	for i := range 40 {
		text += fmt.Sprintf(" gateway calls:s%d 1-999 timeout\n  s%d serves 2-998 ok\n   s%d calls:db 3-997 ok\n", i, i, i)
	}
	assert.Len(t, draw(t, text).tell().Hurt, 40)
}

// A copy that came with other times is not another attempt.
func TestCopyIsNoAttempt(t *testing.T) {
	d := draw(t, `
		gateway serves 0-100 ok
		  gateway calls:orders 1-10 fail
		  gateway calls:orders 20-30 ok #1
		  gateway calls:orders 21-30 ok #1`)
	d.spans[3].ID = d.spans[2].ID
	retries := 0
	for _, m := range d.tell().Meanings {
		if m.Retry {
			retries++
		}
	}
	assert.Equal(t, 1, retries)
}
