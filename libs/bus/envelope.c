/* SPDX-License-Identifier: MIT
 *
 * The protobuf wire format, as much of it as two small messages need: varints and length-delimited fields. Groups and
 * field numbers of zero are malformed; fixed-width fields can only be unknown ones.
 */
#include "bus/envelope.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct field {
	unsigned number;
	enum wire_type type;
	uint64_t value;
	struct bytes data;
};

/* --- writing ------------------------------------------------------------------------------------------------ */
static size_t
varint_size(uint64_t v)
{
	size_t n = 1;
	for (; v >= 0x80; v >>= 7)
		n++;
	return n;
}

static void
add_varint(struct buf *b, uint64_t v)
{
	uint8_t text[10];
	size_t n = 0;
	for (; v >= 0x80; v >>= 7)
		text[n++] = (uint8_t)(v | 0x80);
	text[n++] = (uint8_t)v;
	buf_add(b, text, n);
}

static void
add_tag(struct buf *b, unsigned number, enum wire_type type)
{
	add_varint(b, number << 3 | type);
}

static size_t
field_size(struct bytes data)
{
	return data.n > 0 ? 1 + varint_size(data.n) + data.n : 0;
}

static void
add_field(struct buf *b, unsigned number, struct bytes data)
{
	if (data.n == 0)
		return;
	add_tag(b, number, WIRE_BYTES);
	add_varint(b, data.n);
	buf_add_bytes(b, data);
}

void
envelope_add_call(struct buf *b, const struct envelope_call *c)
{
	size_t n = field_size(c->tenant) + 1 + varint_size((uint64_t)c->expires_us) + field_size(c->traceparent) +
		   field_size(c->actor_token) + field_size(c->payload) + field_size(c->idempotency_key);
	buf_reserve(b, n + 2 * 10);
	add_tag(b, 1, WIRE_BYTES);
	add_varint(b, n);
	add_field(b, 1, c->tenant);
	add_tag(b, 2, WIRE_VARINT);
	add_varint(b, (uint64_t)c->expires_us);
	add_field(b, 3, c->traceparent);
	add_field(b, 4, c->actor_token);
	add_field(b, 5, c->payload);
	add_field(b, 6, c->idempotency_key);
}

void
envelope_add_answer(struct buf *b, const struct envelope_answer *a)
{
	add_tag(b, 1, WIRE_BYTES);
	add_varint(b, field_size(a->rc) + field_size(a->text) + field_size(a->payload));
	add_field(b, 1, a->rc);
	add_field(b, 2, a->text);
	add_field(b, 3, a->payload);
}

/* --- reading ------------------------------------------------------------------------------------------------ */
static bool
take(struct bytes *in, uint64_t n, struct bytes *out_r)
{
	if (n > in->n)
		return false;
	*out_r = bytes_of(in->p, (size_t)n);
	in->p += n;
	in->n -= (size_t)n;
	return true;
}

static bool
read_varint(struct bytes *in, uint64_t *out_r)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < 10 && i < in->n; i++) {
		uint8_t c = in->p[i];
		if (i == 9 && c > 1)
			return false; /* over 64 bits */
		v |= (uint64_t)(c & 0x7f) << (7 * i);
		if (c < 0x80) {
			in->p += i + 1;
			in->n -= i + 1;
			*out_r = v;
			return true;
		}
	}
	return false;
}

static bool
read_field(struct bytes *in, struct field *out_r)
{
	uint64_t tag, n;
	struct field f = {0};
	if (!read_varint(in, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
		return false;
	f.number = (unsigned)(tag >> 3);
	f.type = (enum wire_type)(tag & 7);
	bool good = false;
	switch (f.type) {
	case WIRE_VARINT:
		good = read_varint(in, &f.value);
		break;
	case WIRE_BYTES:
		good = read_varint(in, &n) && take(in, n, &f.data);
		break;
	case WIRE_FIXED64:
		good = take(in, 8, &f.data);
		break;
	case WIRE_FIXED32:
		good = take(in, 4, &f.data);
		break;
	}
	if (good)
		*out_r = f;
	return good;
}

static bool
read_call(struct bytes in, struct envelope_call *c)
{
	struct field f;
	while (in.n > 0) {
		if (!read_field(&in, &f))
			return false;
		bool known = f.number >= 1 && f.number <= 6;
		if (known && f.type != (f.number == 2 ? WIRE_VARINT : WIRE_BYTES))
			return false;
		switch (f.number) {
		case 1:
			c->tenant = f.data;
			break;
		case 2:
			c->expires_us = (int64_t)f.value;
			break;
		case 3:
			c->traceparent = f.data;
			break;
		case 4:
			c->actor_token = f.data;
			break;
		case 5:
			c->payload = f.data;
			break;
		case 6:
			c->idempotency_key = f.data;
			break;
		}
	}
	return (c->tenant.n == 0 || c->tenant.n == 16) && c->traceparent.n <= ENVELOPE_TRACEPARENT_MAX &&
	       c->actor_token.n <= ENVELOPE_ACTOR_MAX && c->idempotency_key.n <= ENVELOPE_KEY_MAX;
}

static bool
read_answer(struct bytes in, struct envelope_answer *a)
{
	struct field f;
	struct bytes *const fields[] = {NULL, &a->rc, &a->text, &a->payload};
	while (in.n > 0) {
		if (!read_field(&in, &f))
			return false;
		if (f.number > 3)
			continue;
		if (f.type != WIRE_BYTES)
			return false;
		*fields[f.number] = f.data;
	}
	return true;
}

/* The next element of the list in the message. */
static bool
read_element(struct bytes *in, bool *found_r, struct bytes *out_r)
{
	struct field f;
	if (!read_field(in, &f) || (f.number == 1 && f.type != WIRE_BYTES))
		return false;
	*found_r = f.number == 1;
	*out_r = f.data;
	return true;
}

enum rc
envelope_read_calls(struct bytes in, struct envelope_call *out_r, size_t max, size_t *n_r, struct err *e)
{
	size_t n = 0;
	while (in.n > 0) {
		bool found;
		struct bytes element;
		if (!read_element(&in, &found, &element))
			return err_set(e, RC_INVALID, "calls do not decode");
		if (!found)
			continue;
		if (n == max)
			return err_set(e, RC_INVALID, "over %zu calls", max);
		out_r[n] = (struct envelope_call){0};
		if (!read_call(element, &out_r[n++]))
			return err_set(e, RC_INVALID, "call %zu does not decode", n);
	}
	*n_r = n;
	return RC_OK;
}

enum rc
envelope_read_answers(struct bytes in, struct envelope_answer *out_r, size_t max, size_t *n_r, struct err *e)
{
	size_t n = 0;
	while (in.n > 0) {
		bool found;
		struct bytes element;
		if (!read_element(&in, &found, &element))
			return err_set(e, RC_INVALID, "answers do not decode");
		if (!found)
			continue;
		if (n == max)
			return err_set(e, RC_INVALID, "over %zu answers", max);
		out_r[n] = (struct envelope_answer){0};
		if (!read_answer(element, &out_r[n++]))
			return err_set(e, RC_INVALID, "answer %zu does not decode", n);
	}
	*n_r = n;
	return RC_OK;
}
