/* SPDX-License-Identifier: MIT
 *
 * The verifier as a command: arguments, files, words.
 */
#include <stdlib.h>
#include <string.h>

#include "record/verify.h"

enum { EXIT_GOOD = 0, EXIT_MANIPULATED = 1, EXIT_UNCLEAR = 2 };

#define BLOCK (256u * 1024)
#define N_(x) ((unsigned long long)(x))

static const char usage[] =
    "usage: %s EXPORT [--head FILE]... [--key KEY|FILE] [--quiet]\n"
    "  EXPORT       the file of an audit export (JSON lines), or - for standard input\n"
    "  --head FILE  an earlier signed head of the same log, from a mail or a file; may be given again\n"
    "  --key KEY    the log's verifier key (name+id+key), or a file that holds it\n"
    "  --quiet      one line only\n"
    "exit: 0 nothing was manipulated, 1 manipulated, 2 it cannot be told, or wrong usage\n";

struct arguments {
	const char *export;
	const char *heads[VERIFY_HEADS_MAX];
	size_t n_heads;
	const char *key;
	bool quiet;
};

static bool
take_arguments(int argc, char **argv, struct arguments *a)
{
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(arg, "--quiet") == 0) {
			a->quiet = true;
		} else if (strcmp(arg, "--head") == 0 && value != NULL && a->n_heads < VERIFY_HEADS_MAX) {
			a->heads[a->n_heads++] = value;
			i++;
		} else if (strcmp(arg, "--key") == 0 && value != NULL && a->key == NULL) {
			a->key = value;
			i++;
		} else if ((arg[0] != '-' || arg[1] == 0) && a->export == NULL) {
			a->export = arg;
		} else {
			return false;
		}
	}
	return a->export != NULL;
}

/* A small file; 0 if it cannot be read or is too long. */
static size_t
small_file(const char *path, char *out, size_t max)
{
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return 0;
	size_t n = fread(out, 1, max + 1, f);
	bool bad = ferror(f) != 0 || n > max;
	fclose(f);
	return bad ? 0 : n;
}

static bool
take_key(const char *text, struct note_key *out_r, FILE *err, const char *name)
{
	char from_file[NOTE_KEY_MAX + 2];
	struct err e;
	size_t n = strchr(text, '+') != NULL ? 0 : small_file(text, from_file, sizeof(from_file) - 1);
	struct bytes key = n > 0 ? bytes_of(from_file, n) : bytes_str(text);
	while (key.n > 0 && (key.p[key.n - 1] == '\n' || key.p[key.n - 1] == '\r'))
		key.n--;
	if (note_key_parse(key, out_r, &e) == RC_OK)
		return true;
	fprintf(err, "%s: --key: %s\n", name, e.text);
	return false;
}

static bool
take_heads(struct verifier *v, const struct arguments *a, FILE *err, const char *name)
{
	char note[NOTE_MAX + 1];
	for (size_t i = 0; i < a->n_heads; i++) {
		struct err e;
		size_t n = small_file(a->heads[i], note, NOTE_MAX);
		if (n == 0) {
			fprintf(err, "%s: %s: cannot be read, is empty or too long\n", name, a->heads[i]);
			return false;
		}
		if (verifier_head(v, bytes_of(note, n), &e) != RC_OK) {
			fprintf(err, "%s: %s: %s\n", name, a->heads[i], e.text);
			return false;
		}
	}
	return true;
}

/* Feeds lines; false if the file cannot be read or a line is too long to be one. */
static bool
feed(struct verifier *v, FILE *f, bool *complete_r)
{
	struct buf b;
	buf_init(&b, LINE_OCTETS_MAX + BLOCK);
	bool ok = true, go_on = true;
	while (go_on && ok) {
		uint8_t *to = buf_reserve(&b, BLOCK);
		size_t n = to != NULL ? fread(to, 1, BLOCK, f) : 0;
		if (n == 0) {
			ok = to != NULL && ferror(f) == 0;
			break;
		}
		size_t from = 0, looked = b.n;
		b.n += n;
		const uint8_t *end;
		while (go_on && (end = memchr(b.p + looked, '\n', b.n - looked)) != NULL) {
			size_t at = (size_t)(end - b.p);
			go_on = verifier_line(v, bytes_of(b.p + from, at - from));
			from = looked = at + 1;
		}
		buf_drop_front(&b, from);
	}
	*complete_r = b.n == 0 || !go_on;
	buf_done(&b);
	return ok;
}

static void
say_good(const struct verify_result *r, FILE *out)
{
	fprintf(out, "good: %llu entries%s of %s fit the signed head of size %llu\n", N_(r->entries),
		r->filtered ? " (filtered)" : "", r->origin, N_(r->size));
}

static void
say_limits(const struct verify_result *r, FILE *out)
{
	if (r->heads_inside > 0)
		fprintf(out, "  %llu signed heads between the entries fit too\n", N_(r->heads_inside));
	if (r->erased > 0)
		fprintf(out,
			"  the content of %llu entries is not in the export (erased, or its key is gone); their places "
			"are proven\n",
			N_(r->erased));
	if (r->heads_earlier > 0)
		fprintf(out, "  %llu earlier heads fit; up to entry %lld nothing can have been changed since\n",
			N_(r->heads_earlier), (long long)r->known - 1);
	if (r->heads_earlier == 0)
		fprintf(
		    out,
		    "not excluded, because no earlier head was given: that whoever holds the signing key wrote the log "
		    "anew, shows somebody else another one, or left entries out at the end\n");
	else if (r->known < r->size)
		fprintf(out,
			"not excluded for entries from %llu on: that whoever holds the signing key wrote them anew\n",
			N_(r->known));
	if (r->filtered)
		fprintf(
		    out,
		    "not excluded, because the export is filtered: that entries which fit the filter are missing\n");
	if (!r->key_given && r->heads_earlier == 0)
		fprintf(out, "not excluded, because no --key was given: that the key in the export is not the log's\n");
}

int
record_verify_main(int argc, char **argv, FILE *out, FILE *err)
{
	struct arguments a = {0};
	struct note_key key;
	const char *name = argc > 0 ? argv[0] : "verify";
	if (!take_arguments(argc, argv, &a)) {
		fprintf(err, usage, name);
		return EXIT_UNCLEAR;
	}
	if (a.key != NULL && !take_key(a.key, &key, err, name))
		return EXIT_UNCLEAR;
	FILE *f = strcmp(a.export, "-") == 0 ? stdin : fopen(a.export, "re");
	if (f == NULL) {
		fprintf(err, "%s: %s cannot be read\n", name, a.export);
		return EXIT_UNCLEAR;
	}
	struct verifier *v = verifier_new(a.key != NULL ? &key : NULL);
	struct verify_result r;
	bool complete = false;
	bool ok = take_heads(v, &a, err, name);
	if (ok && !feed(v, f, &complete)) {
		fprintf(err, "%s: %s: cannot be read to its end, or a line is too long\n", name, a.export);
		ok = false;
	}
	if (ok)
		verifier_end(v, complete, &r);
	verifier_free(&v);
	if (f != stdin)
		fclose(f);
	if (!ok)
		return EXIT_UNCLEAR;
	if (r.kind == VERIFY_GOOD) {
		say_good(&r, out);
		if (!a.quiet)
			say_limits(&r, out);
		return EXIT_GOOD;
	}
	if (r.kind == VERIFY_UNCLEAR) {
		fprintf(out, "unclear: %s\n", r.text);
		return EXIT_UNCLEAR;
	}
	fprintf(out, "manipulated: %s at entry %llu: %s\n", verify_kind_str(r.kind), N_(r.first), r.text);
	return EXIT_MANIPULATED;
}
