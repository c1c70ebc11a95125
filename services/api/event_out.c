/* SPDX-License-Identifier: MIT
 *
 * How an event looks on its way out. Pure.
 */
#include "client/audit_client.h"
#include "events.h"
#include "json_out.h"

void
events_write(struct buf *out, const struct audit_event *ev)
{
	char trace[33];
	buf_addf(out, "id: %llu\nevent: %s\ndata: ", (unsigned long long)ev->position, ev->type);
	struct json_out o = {.b = out};
	json_out_open(&o, NULL, '{');
	json_out_uuid(&o, "id", &ev->id);
	json_out_str(&o, "type", ev->type);
	json_out_time(&o, "timestamp", ev->at_us);
	json_out_int(&o, "position", (int64_t)ev->position);
	if (uuid_is_nil(&ev->subject))
		json_out_null(&o, "subject");
	else
		json_out_uuid(&o, "subject", &ev->subject);
	if (ev->number >= 0)
		json_out_int(&o, "recipient", ev->number);
	else
		json_out_null(&o, "recipient");
	traceparent_trace_id(ev->traceparent, trace);
	json_out_str(&o, "trace_id", trace);
	/* A line break would end the field; in JSON it only stands between values, where a space says the same. */
	size_t from = out->n;
	json_out_raw(&o, "data", ev->data);
	for (size_t i = from; i < out->n; i++)
		if (out->p[i] == '\n' || out->p[i] == '\r')
			out->p[i] = ' ';
	json_out_close(&o, '}');
	buf_add_str(out, "\n\n");
}
