/* SPDX-License-Identifier: MIT
 *
 * Walks GMime's tree and our list of parts side by side, comparing kinds, types, decoded octets and addresses. GMime
 * reads the message where it lies; nothing of it stays after the call. Not thread-safe (GLib's type system, once).
 */
#include "facts/mime_second.h"

#include <gmime/gmime.h>

#include "facts/addresses.h"
#include "facts/charset.h"

struct walk {
	const struct mime *m;
	size_t next; /* the part of ours that should come now */
	const char *difference;
};

static void compare(struct walk *w, GMimeObject *o);

void
mime_second_preload(void)
{
	static bool done;
	if (!done)
		g_mime_init();
	done = true;
}

static void
differ(struct walk *w, const char *what)
{
	if (w->difference == NULL)
		w->difference = what;
}

static void
compare_content(struct walk *w, const struct mime_part *p, GMimePart *part)
{
	GMimeDataWrapper *content = g_mime_part_get_content(part);
	GByteArray *octets = g_byte_array_sized_new((guint)p->content.n + 1);
	GMimeStream *to = g_mime_stream_mem_new_with_byte_array(octets);
	g_mime_stream_mem_set_owner(GMIME_STREAM_MEM(to), FALSE);
	if (content != NULL && p->decoding != DECODE_UU) {
		if (g_mime_data_wrapper_write_to_stream(content, to) < 0 ||
		    !bytes_eq(bytes_of(octets->data, octets->len), p->content))
			differ(w, "another reader decodes a part differently");
	} else if (content == NULL && p->content.n > 0) {
		differ(w, "another reader finds a part empty");
	}
	g_object_unref(to);
	g_byte_array_free(octets, TRUE);
}

static void
compare_part(struct walk *w, GMimeObject *o, const struct mime_part *p)
{
	if (GMIME_IS_MULTIPART(o)) {
		GMimeMultipart *multi = GMIME_MULTIPART(o);
		if (p->kind != MIME_MULTIPART)
			differ(w, "another reader sees a multipart");
		for (int i = 0; w->difference == NULL && i < g_mime_multipart_get_count(multi); i++)
			compare(w, g_mime_multipart_get_part(multi, i));
	} else if (GMIME_IS_MESSAGE_PART(o)) {
		GMimeMessage *inner = g_mime_message_part_get_message(GMIME_MESSAGE_PART(o));
		if (p->kind != MIME_MESSAGE)
			differ(w, "another reader sees a message");
		else if (inner != NULL)
			compare(w, g_mime_message_get_mime_part(inner));
		else
			w->next++;
	} else if (GMIME_IS_PART(o)) {
		if (p->kind != MIME_LEAF)
			differ(w, "another reader sees no parts in a part");
		else
			compare_content(w, p, GMIME_PART(o));
	}
}

static void
compare(struct walk *w, GMimeObject *o)
{
	if (w->difference != NULL)
		return;
	if (w->next >= w->m->n_parts || o == NULL) {
		differ(w, "another reader sees other parts");
		return;
	}
	const struct mime_part *p = &w->m->parts[w->next++];
	GMimeContentType *type = g_mime_object_get_content_type(o);
	char *name = type != NULL ? g_mime_content_type_get_mime_type(type) : NULL;
	bool said = p->type.token.n > 0;
	if (said && name != NULL && g_ascii_strcasecmp(name, p->content_type) != 0)
		differ(w, "another reader sees another type");
	g_free(name);
	compare_part(w, o, p);
}

/* --- addresses ------------------------------------------------------------------------------------------ */

static bool
same_address(const char *ours, const char *theirs, struct arena *a)
{
	const char *at = strrchr(ours, '@'), *other = strrchr(theirs, '@');
	if (at == NULL || other == NULL)
		return at == other;
	if (strcmp(at + 1, charset_domain(bytes_str(other + 1), a)) != 0)
		return false;
	struct bytes local = bytes_of(ours, (size_t)(at - ours));
	/* What octets beyond ASCII mean is each reader's guess. */
	for (size_t i = 0; i < local.n; i++)
		if (local.p[i] >= 0x80)
			return true;
	return bytes_ieq(local, bytes_of(theirs, (size_t)(other - theirs)));
}

/* Whether all of theirs are among ours, from *next on and in order: what we find besides hides nothing from a rule.
 * Groups are what is in them, and names without a domain are no addresses. */
static bool
finds_all(InternetAddressList *theirs, const struct facts_addresses *ours, size_t *next, struct arena *a)
{
	for (int i = 0; theirs != NULL && i < internet_address_list_length(theirs); i++) {
		InternetAddress *one = internet_address_list_get_address(theirs, i);
		if (INTERNET_ADDRESS_IS_GROUP(one)) {
			if (!finds_all(internet_address_group_get_members(INTERNET_ADDRESS_GROUP(one)), ours, next, a))
				return false;
			continue;
		}
		const char *addr = internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(one));
		if (addr == NULL || strchr(addr, '@') == NULL)
			continue;
		while (*next < ours->n && !same_address(ours->v[*next].addr, addr, a))
			(*next)++;
		if ((*next)++ == ours->n)
			return false;
	}
	return true;
}

static void
compare_addresses(struct walk *w, const struct header_field *f)
{
	struct addresses ours = {.cap = 0};
	struct arena *a = w->m->arena;
	size_t next = 0;
	struct bytes value = header_unfold(a, f->value);
	addresses_read(f->value, a, &ours);
	InternetAddressList *theirs = internet_address_list_parse(NULL, arena_strndup(a, value.p, value.n));
	if (!ours.cut && !finds_all(theirs, &ours.list, &next, a))
		differ(w, "another reader sees other addresses");
	if (theirs != NULL)
		g_object_unref(theirs);
}

static void
compare_header(struct walk *w, const struct header *h)
{
	static const char *const names[] = {"From", "Sender", "To", "Cc", "Reply-To"};
	for (size_t i = 0; i < h->n && w->difference == NULL; i++)
		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
			if (bytes_ieq(h->v[i].name, bytes_str(names[k])))
				compare_addresses(w, &h->v[i]);
}

/* --- the whole ------------------------------------------------------------------------------------------ */

void
mime_second_compare(const struct mime *m)
{
	struct walk w = {.m = m};
	mime_second_preload();
	GByteArray octets = {(guint8 *)(uintptr_t)m->msg.p, (guint)m->msg.n};
	GMimeStream *stream = g_mime_stream_mem_new_with_byte_array(&octets);
	g_mime_stream_mem_set_owner(GMIME_STREAM_MEM(stream), FALSE);
	GMimeParser *parser = g_mime_parser_new_with_stream(stream);
	GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);
	if (message != NULL) {
		compare(&w, g_mime_message_get_mime_part(message));
		if (w.next != m->n_parts)
			differ(&w, "another reader sees fewer parts");
		g_object_unref(message);
	} else {
		differ(&w, "another reader sees no message");
	}
	g_object_unref(parser);
	g_object_unref(stream);
	if (m->n_parts > 0)
		compare_header(&w, &m->parts[0].fields);
	if (w.difference != NULL)
		m->report(m->ctx, FACTS_AMBIGUOUS, w.difference);
}
