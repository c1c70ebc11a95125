/* SPDX-License-Identifier: MIT
 *
 * Walks the wire format once, guided by protobuf-c's own descriptors. Reads only; no memory of its own beyond one
 * counter per field and level.
 */
#include "mail/facts_wire.h"

#define FIELDS_MAX 64

enum { WIRE_VARINT = 0, WIRE_I64 = 1, WIRE_LEN = 2, WIRE_I32 = 5 };

static bool
varint(struct bytes b, size_t *at, uint64_t *out_r)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 64 && *at < b.n; shift += 7) {
		uint8_t c = b.p[(*at)++];
		if (shift == 63 && c > 1)
			return false;
		v |= (uint64_t)(c & 0x7f) << shift;
		if ((c & 0x80) == 0) {
			*out_r = v;
			return true;
		}
	}
	return false;
}

/* Length of the well-formed sequence at p (RFC 3629, table 3-7 of Unicode), 0 if there is none. */
static size_t
utf8_sequence(const uint8_t *p, size_t n)
{
	uint8_t c = p[0], low = 0x80, high = 0xbf;
	size_t k = c < 0x80 ? 1 : c >= 0xc2 && c <= 0xdf ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
	if (k == 0 || k > n)
		return 0;
	if (c == 0xe0)
		low = 0xa0;
	else if (c == 0xed)
		high = 0x9f;
	else if (c == 0xf0)
		low = 0x90;
	else if (c == 0xf4)
		high = 0x8f;
	for (size_t i = 1; i < k; i++) {
		if (p[i] < low || p[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return k;
}

bool
facts_utf8_valid(struct bytes b)
{
	for (size_t i = 0; i < b.n;) {
		size_t k = utf8_sequence(b.p + i, b.n - i);
		if (k == 0 || b.p[i] == 0)
			return false;
		i += k;
	}
	return true;
}

static unsigned
wire_type_of(ProtobufCType t)
{
	switch (t) {
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return WIRE_I32;
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return WIRE_I64;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return WIRE_LEN;
	default:
		return WIRE_VARINT;
	}
}

static const struct wire_bound *
bound_of(const struct wire_rules *rules, const char *message, uint32_t field)
{
	for (const struct wire_bound *w = rules->bounds; w->message != NULL; w++)
		if (w->field == field && strcmp(w->message, message) == 0)
			return w;
	return NULL;
}

static enum rc
check_payload(const ProtobufCFieldDescriptor *f, struct bytes value, uint32_t length_max,
	      const struct wire_rules *rules, struct err *e)
{
	if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		return facts_wire_check(f->descriptor, value, rules, e);
	if (value.n > length_max)
		return err_set(e, RC_INVALID, "%s is longer than %u octets", f->name, length_max);
	if (f->type == PROTOBUF_C_TYPE_STRING && !facts_utf8_valid(value))
		return err_set(e, RC_INVALID, "%s is not UTF-8", f->name);
	return RC_OK;
}

/* Reads one field's value; LEN payloads are returned in value. */
static bool
take_value(struct bytes b, size_t *at, unsigned type, struct bytes *value)
{
	uint64_t v;
	*value = bytes_of(NULL, 0);
	switch (type) {
	case WIRE_VARINT:
		return varint(b, at, &v);
	case WIRE_I32:
	case WIRE_I64:
		v = type == WIRE_I32 ? 4 : 8;
		break;
	case WIRE_LEN:
		if (!varint(b, at, &v))
			return false;
		break;
	default:
		return false;
	}
	if (!bytes_slice(b, *at, v, value))
		return false;
	*at += v;
	return true;
}

enum rc
facts_wire_check(const ProtobufCMessageDescriptor *d, struct bytes b, const struct wire_rules *rules, struct err *e)
{
	uint32_t counts[FIELDS_MAX] = {0};
	if (d->n_fields > FIELDS_MAX)
		return err_set(e, RC_INTERNAL, "%s has more fields than the check knows", d->short_name);
	for (size_t at = 0; at < b.n;) {
		uint64_t key;
		struct bytes value;
		if (!varint(b, &at, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX)
			return err_set(e, RC_INVALID, "%s: bad tag", d->short_name);
		if (!take_value(b, &at, key & 7, &value))
			return err_set(e, RC_INVALID, "%s: bad value of field %u", d->short_name, (unsigned)(key >> 3));
		const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(d, (unsigned)(key >> 3));
		if (f == NULL)
			continue;
		if ((key & 7) != wire_type_of(f->type))
			return err_set(e, RC_INVALID, "%s has the wrong type", f->name);
		const struct wire_bound *w = bound_of(rules, d->short_name, f->id);
		uint32_t count_max = w != NULL && w->count_max != 0 ? w->count_max : 1;
		if (++counts[f - d->fields] > count_max)
			return err_set(e, RC_INVALID, "%s occurs more than %u times", f->name, count_max);
		uint32_t length_max = w != NULL && w->length_max != 0 ? w->length_max : rules->string_max;
		if ((key & 7) == WIRE_LEN && check_payload(f, value, length_max, rules, e) != RC_OK)
			return RC_INVALID;
	}
	return RC_OK;
}
