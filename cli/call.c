/* SPDX-License-Identifier: MIT */
#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli.h"
#include "term.h"

#define ANSWER_MAX (64u * 1024 * 1024)
#define TIMEOUT_S  120L

void
cli_error(const char *fmt, ...)
{
	char line[2048];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	struct arena *a = arena_new();
	fprintf(stderr, "sekisho: %s\n", term_safe(a, bytes_str(line)));
	arena_free(&a);
}

struct receiving {
	struct buf body;
	char etag[128];
};

static size_t
on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct receiving *in = ctx;
	buf_add(&in->body, p, size * n);
	return buf_ok(&in->body) ? size * n : 0;
}

static size_t
on_header(char *p, size_t size, size_t n, void *ctx)
{
	struct receiving *in = ctx;
	if (size * n > 5 && strncasecmp(p, "etag:", 5) == 0) {
		size_t len = size * n - 5;
		const char *v = p + 5;
		for (; len > 0 && *v == ' '; len--)
			v++;
		while (len > 0 && (v[len - 1] == '\r' || v[len - 1] == '\n'))
			len--;
		snprintf(in->etag, sizeof(in->etag), "%.*s", (int)len, v);
	}
	return size * n;
}

static struct curl_slist *
headers_of(const struct cli *c, const struct cli_request *r)
{
	struct curl_slist *list = NULL;
	if (c->key[0] != '\0')
		list = curl_slist_append(list, arena_printf(c->arena, "Authorization: Bearer %s", c->key));
	if (r->content_type != NULL)
		list = curl_slist_append(list, arena_printf(c->arena, "Content-Type: %s", r->content_type));
	for (size_t i = 0; i < sizeof(r->headers) / sizeof(r->headers[0]) && r->headers[i].name != NULL; i++)
		list =
		    curl_slist_append(list, arena_printf(c->arena, "%s: %s", r->headers[i].name, r->headers[i].value));
	return curl_slist_append(list, "Expect:");
}

static bool
headers_safe(const struct cli *c, const struct cli_request *r)
{
	bool ok = strpbrk(c->key, "\r\n") == NULL;
	for (size_t i = 0; i < sizeof(r->headers) / sizeof(r->headers[0]) && r->headers[i].name != NULL; i++)
		ok = ok && strpbrk(r->headers[i].value, "\r\n") == NULL;
	return ok;
}

static void
print_problem(const struct cli *c, const struct cli_answer *a)
{
	if (c->args.json && a->json != NULL) {
		(void)cli_print_json(c, a);
		return;
	}
	const char *detail = cli_str(a->json, "detail"), *code = cli_str(a->json, "code");
	if (detail[0] == '\0') {
		cli_error("the server answered %d without a word", a->status);
		return;
	}
	cli_error("%s (%s, HTTP %d)", detail, code[0] != '\0' ? code : "no code", a->status);
	size_t i;
	json_t *f;
	json_array_foreach(json_object_get(a->json, "errors"), i, f)
	{
		if (json_array_size(json_object_get(a->json, "errors")) > 1 ||
		    strstr(detail, cli_str(f, "detail")) == NULL)
			cli_error("  %s: %s", cli_str(f, "pointer"), cli_str(f, "detail"));
	}
}

int
cli_call(struct cli *c, const struct cli_request *r, struct cli_answer *out_r)
{
	if (!headers_safe(c, r)) {
		cli_error("a value holds a line end");
		return CLI_USAGE;
	}
	if (strncasecmp(c->url, "https://", 8) != 0) {
		cli_error("%s does not begin with https://: the key would travel in clear", c->url);
		return CLI_USAGE;
	}
	CURL *curl = curl_easy_init();
	if (curl == NULL)
		abort();
	size_t n = strlen(c->url);
	while (n > 0 && c->url[n - 1] == '/')
		n--;
	struct receiving in = {0};
	buf_init(&in.body, ANSWER_MAX);
	char why[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers = headers_of(c, r);
	curl_easy_setopt(curl, CURLOPT_URL, arena_printf(c->arena, "%.*s%s", (int)n, c->url, r->path));
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "sekisho");
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &in);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, &in);
	if (c->ca[0] != '\0')
		curl_easy_setopt(curl, CURLOPT_CAINFO, c->ca);
	if (r->content_type != NULL) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->body.n > 0 ? (const char *)r->body.p : "");
	}
	CURLcode done = curl_easy_perform(curl);
	long status = 0;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	if (done != CURLE_OK) {
		cli_error("cannot reach %s: %s", c->url, why[0] != '\0' ? why : curl_easy_strerror(done));
		buf_done(&in.body);
		return CLI_UNREACHABLE;
	}
	*out_r = (struct cli_answer){
	    .status = (int)status,
	    .body = arena_bytes(c->arena, buf_bytes(&in.body)),
	    .json = json_loadb((const char *)in.body.p, in.body.n, JSON_REJECT_DUPLICATES, NULL),
	    .etag = arena_strdup(c->arena, in.etag),
	};
	buf_done(&in.body);
	if (status >= 200 && status < 300)
		return CLI_OK;
	print_problem(c, out_r);
	return CLI_FAILED;
}

int
cli_call_json(struct cli *c, const char *method, const char *path, json_t *body_take, struct cli_answer *out_r)
{
	struct cli_request r = {.method = method, .path = path};
	if (body_take != NULL) {
		char *text = json_dumps(body_take, JSON_COMPACT);
		json_decref(body_take);
		if (text == NULL)
			abort();
		r.content_type = "application/json";
		r.body = arena_bytes(c->arena, bytes_str(text));
		free(text);
	}
	return cli_call(c, &r, out_r);
}

const char *
cli_encode(struct cli *c, const char *s)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	char *out = arena_alloc(c->arena, strlen(s) * 3 + 1), *to = out;
	for (; *s != '\0'; s++) {
		if (strchr(plain, *s) != NULL)
			*to++ = *s;
		else
			to += sprintf(to, "%%%02X", (unsigned char)*s);
	}
	*to = '\0';
	return out;
}

bool
cli_print_json(const struct cli *c, const struct cli_answer *a)
{
	if (!c->args.json)
		return false;
	struct buf b;
	buf_init(&b, 0);
	term_json(&b, a->body);
	if (b.n > 0) {
		fwrite(b.p, 1, b.n, stdout);
		if (b.p[b.n - 1] != '\n')
			putchar('\n');
	}
	buf_done(&b);
	return true;
}

const char *
cli_str(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));
	return s != NULL ? s : "";
}

json_int_t
cli_int(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

const char *
cli_time(struct cli *c, const json_t *object, const char *name)
{
	const char *s = cli_str(object, name);
	if (strlen(s) < 19)
		return "-";
	char *out = arena_strndup(c->arena, s, 19);
	out[10] = ' ';
	return out;
}

bool
cli_read_file(struct cli *c, const char *path, size_t max, struct bytes *out_r)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	if (f == NULL) {
		cli_error("cannot read %s: %s", path, strerror(errno));
		return false;
	}
	struct buf b;
	buf_init(&b, max);
	char piece[65536];
	size_t n;
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0 && buf_ok(&b))
		buf_add(&b, piece, n);
	bool ok = buf_ok(&b) && !ferror(f);
	if (!buf_ok(&b))
		cli_error("%s is larger than %zu octets", path, max);
	else if (!ok)
		cli_error("cannot read %s: %s", path, strerror(errno));
	if (f != stdin)
		fclose(f);
	if (ok)
		*out_r = arena_bytes(c->arena, buf_bytes(&b));
	buf_done(&b);
	return ok;
}
