/* SPDX-License-Identifier: MIT
 *
 * sekisho send: JSON that the API makes a message of, or a message as it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "core/base64.h"
#include "term.h"

#define MESSAGE_MAX (50u * 1024 * 1024)

static json_t *
address_json(struct cli *c, const char *text)
{
	const char *name, *address;
	cli_split_address(c->arena, text, &name, &address);
	if (name[0] == '\0')
		return json_string(address);
	return json_pack("{s:s, s:s}", "name", name, "address", address);
}

/* false: a value is not UTF-8. */
static bool
add_addresses(struct cli *c, json_t *doc, const char *option, const char *member)
{
	json_t *list = json_array();
	const char *v;
	bool ok = true;
	for (int at = 0; (v = cli_next_value(c, option, &at)) != NULL;) {
		json_t *one = address_json(c, v);
		ok = ok && one != NULL;
		json_array_append_new(list, one != NULL ? one : json_null());
	}
	if (json_array_size(list) > 0)
		json_object_set_new(doc, member, list);
	else
		json_decref(list);
	return ok;
}

static const char *
base64(struct cli *c, struct bytes in)
{
	struct buf b;
	buf_init(&b, 0);
	base64_add(&b, in);
	const char *out = arena_strndup(c->arena, b.p, b.n);
	buf_done(&b);
	return out;
}

static bool
add_attachments(struct cli *c, json_t *doc)
{
	const char *path;
	json_t *list = json_array();
	bool ok = true;
	for (int at = 0; ok && (path = cli_next_value(c, "--attach", &at)) != NULL;) {
		struct bytes content;
		ok = cli_read_file(c, path, MESSAGE_MAX, &content);
		if (!ok)
			break;
		const char *slash = strrchr(path, '/');
		json_t *one = json_pack("{s:s, s:s}", "name", slash != NULL ? slash + 1 : path, "content_base64",
					base64(c, content));
		if (one == NULL)
			cli_error("the name of %s is not UTF-8", path);
		ok = one != NULL;
		if (ok)
			json_array_append_new(list, one);
	}
	if (json_array_size(list) > 0)
		json_object_set_new(doc, "attachments", list);
	else
		json_decref(list);
	return ok;
}

static bool
set_text(json_t *doc, const char *member, struct bytes text)
{
	json_t *s = json_stringn((const char *)text.p, text.n);
	if (s == NULL) {
		cli_error("the %s is not UTF-8", member);
		return false;
	}
	json_object_set_new(doc, member, s);
	return true;
}

static bool
fill_document(struct cli *c, json_t *doc)
{
	json_t *from = address_json(c, cli_value(c, "--from"));
	bool ok = from != NULL;
	json_object_set_new(doc, "from", from != NULL ? from : json_null());
	ok = add_addresses(c, doc, "--to", "to") && ok;
	ok = add_addresses(c, doc, "--cc", "cc") && ok;
	ok = add_addresses(c, doc, "--bcc", "bcc") && ok;
	ok = add_addresses(c, doc, "--reply-to", "reply_to") && ok;
	if (!ok) {
		cli_error("an address is not UTF-8");
		return false;
	}
	const char *subject = cli_value(c, "--subject"), *text = cli_value(c, "--text"), *html = cli_value(c, "--html");
	struct bytes body = bytes_str(text != NULL ? text : "");
	if (text != NULL && strcmp(text, "-") == 0 && !cli_read_file(c, "-", MESSAGE_MAX, &body))
		return false;
	if (subject != NULL && !set_text(doc, "subject", bytes_str(subject)))
		return false;
	if ((text != NULL || html == NULL) && !set_text(doc, "text", body))
		return false;
	if (html != NULL && (!cli_read_file(c, html, MESSAGE_MAX, &body) || !set_text(doc, "html", body)))
		return false;
	return add_attachments(c, doc);
}

/* A file with Unix line ends becomes what SMTP wants; one that has CRLF anywhere goes as it is. */
static struct bytes
with_crlf(struct cli *c, struct bytes in)
{
	if (memchr(in.p, '\r', in.n) != NULL)
		return in;
	size_t lines = 1;
	for (size_t i = 0; i < in.n; i++)
		lines += in.p[i] == '\n';
	uint8_t *out = arena_alloc(c->arena, in.n + lines * 2), *to = out;
	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] == '\n')
			*to++ = '\r';
		*to++ = in.p[i];
	}
	if (in.n > 0 && in.p[in.n - 1] != '\n') {
		*to++ = '\r';
		*to++ = '\n';
	}
	return bytes_of(out, (size_t)(to - out));
}

static const char *
envelope_query(struct cli *c)
{
	const char *name, *address;
	cli_split_address(c->arena, cli_value(c, "--from"), &name, &address);
	const char *path = arena_printf(c->arena, "/v1/messages?sender=%s", cli_encode(c, address));
	static const char *const lists[] = {"--to", "--cc", "--bcc"};
	for (size_t i = 0; i < 3; i++) {
		const char *v;
		for (int at = 0; (v = cli_next_value(c, lists[i], &at)) != NULL;) {
			cli_split_address(c->arena, v, &name, &address);
			path = arena_printf(c->arena, "%s&recipient=%s", path, cli_encode(c, address));
		}
	}
	return path;
}

static bool
fill_request(struct cli *c, struct cli_request *r)
{
	const char *raw = cli_value(c, "--raw");
	if (raw != NULL) {
		r->content_type = "message/rfc822";
		r->path = envelope_query(c);
		if (!cli_read_file(c, raw, MESSAGE_MAX, &r->body))
			return false;
		r->body = with_crlf(c, r->body);
		return true;
	}
	json_t *doc = json_object();
	bool ok = fill_document(c, doc);
	char *text = ok ? json_dumps(doc, JSON_COMPACT) : NULL;
	json_decref(doc);
	if (text == NULL)
		return false;
	r->content_type = "application/json";
	r->path = "/v1/messages";
	r->body = arena_bytes(c->arena, bytes_str(text));
	free(text);
	return true;
}

int
cmd_send(struct cli *c)
{
	static const char *const not_with_raw[] = {"--subject", "--text", "--html", "--attach", "--reply-to"};
	if (!cli_has(c, "--from") || !(cli_has(c, "--to") || cli_has(c, "--cc") || cli_has(c, "--bcc"))) {
		cli_error("send needs --from and at least one --to");
		return CLI_USAGE;
	}
	for (size_t i = 0; cli_has(c, "--raw") && i < sizeof(not_with_raw) / sizeof(not_with_raw[0]); i++)
		if (cli_has(c, not_with_raw[i])) {
			cli_error("--raw is a whole message: %s does not go with it", not_with_raw[i]);
			return CLI_USAGE;
		}
	struct cli_request r = {.method = "POST"};
	struct cli_answer a = {0};
	if (!fill_request(c, &r))
		return CLI_USAGE;
	int code = cli_call(c, &r, &a);
	if (code == CLI_OK && !cli_print_json(c, &a))
		printf("%s\n", term_safe(c->arena, bytes_str(cli_str(a.json, "id"))));
	json_decref(a.json);
	return code;
}
