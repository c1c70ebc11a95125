/* SPDX-License-Identifier: MIT
 *
 * The record without database and bus, on one core: entries made into leaves and a tree, an export written, read by the
 * verifier, and proofs.  bench-record [ENTRIES]
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "record/tiles.h"
#include "record/verify.h"

#define ORIGIN "bench.example/audit/00000000-0000-7000-8000-000000000001"

static struct merkle_hash *tiles[TILES_LEVELS];
static uint64_t entries = 1000000;

static void
put(void *ctx, int level, uint64_t number, const struct merkle_hash *h, unsigned width)
{
	memcpy(&tiles[level][number * TILES_WIDTH], h, width * sizeof(*h));
}

static enum rc
get(void *ctx, int level, uint64_t number, unsigned width, const struct merkle_hash **h_r, struct err *e)
{
	*h_r = &tiles[level][number * TILES_WIDTH];
	return RC_OK;
}

static void
make_record(uint64_t i, struct buf *out)
{
	struct record_entry r = {
	    .at_us = INT64_C(1795316645000000) + (int64_t)i,
	    .service = "delivery",
	    .action = "recipient.delivered",
	    .outcome = "ok",
	    .actor = bytes_str("system"),
	    .number = (int32_t)(i % 7),
	    .detail = bytes_str("{\"remote\":\"mx.partner.example\",\"reply\":\"250 2.0.0 ok\",\"tls\":\"1.3\"}"),
	    .trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"};
	memcpy(r.id.b, &i, sizeof(i));
	buf_reset(out);
	record_entry_write(&r, out);
}

static void
say(const char *what, int64_t began_us)
{
	double s = (double)(clock_wall_us() - began_us) / 1e6;
	printf("%-44s %8.2f s %12.0f entries/s\n", what, s, (double)entries / s);
}

int
main(int argc, char **argv)
{
	static struct tiles_edge edge;
	struct merkle_hash leaf, root, proof[MERKLE_PROOF_MAX];
	struct note_signer *signer = NULL;
	struct note_key key;
	struct note_head head = {.origin = ORIGIN};
	struct err e;
	struct buf record, line, note, text;
	char path[] = "/tmp/bench-record-XXXXXX";
	FILE *f = fdopen(mkstemp(path), "w+");
	if (argc > 1)
		entries = strtoull(argv[1], NULL, 10);
	if (f == NULL || entries == 0)
		return 2;
	fputs("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
	      "-----END PRIVATE KEY-----\n",
	      f);
	fflush(f);
	if (note_signer_open(path, &signer, &e) != RC_OK || note_signer_key(signer, ORIGIN, &key, &e) != RC_OK)
		return 2;
	for (int l = 0; l < TILES_LEVELS; l++) {
		tiles[l] = calloc((entries >> (8 * l)) + TILES_WIDTH, sizeof(struct merkle_hash));
		if (tiles[l] == NULL)
			return 2;
	}
	buf_init(&record, 0);
	buf_init(&line, 0);
	buf_init(&note, 0);
	buf_init(&text, 0);

	int64_t began = clock_wall_us();
	for (uint64_t i = 0; i < entries; i++) {
		uint8_t salt[32] = {(uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16)};
		make_record(i, &record);
		record_leaf(salt, buf_bytes(&record), &leaf);
		tiles_edge_add(&edge, &leaf, put, NULL);
	}
	tiles_edge_flush(&edge, 0, put, NULL);
	tiles_edge_root(&edge, &root);
	say("record, leaf, tree", began);

	struct tiles_reader reader = {get, NULL};
	size_t longest = 0, n = 0, bad = 0;
	began = clock_wall_us();
	for (uint64_t i = 0; i < 10000; i++) {
		uint64_t index = i * 7919 % entries;
		if (tiles_inclusion(&reader, index, entries, proof, &n, NULL) != RC_OK)
			return 1;
		bad += !merkle_check_inclusion(&tiles[0][index], index, entries, proof, n, &root);
		longest = n > longest ? n : longest;
	}
	printf("%-44s %8.1f us each, at most %zu octets, %zu wrong\n", "inclusion proof, made and checked",
	       (double)(clock_wall_us() - began) / 1e4, longest * MERKLE_SIZE, bad);

	head.size = entries;
	head.root = root;
	note_key_format(&key, &text);
	if (note_sign(signer, &head, &note, &e) != RC_OK)
		return 2;
	struct verifier *v = verifier_new(&key);
	struct verify_result r;
	struct uuid tenant = {{0}};
	line_write_header(&line, &tenant, entries, buf_bytes(&text), buf_bytes(&note), (struct bytes){0}, NULL);
	verifier_line(v, bytes_of(line.p, line.n - 1));
	int64_t verifying = 0;
	for (uint64_t i = 0; i < entries; i++) {
		uint8_t salt[32] = {(uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16)};
		make_record(i, &record);
		buf_reset(&line);
		line_write_entry(&line, i, &tiles[0][i], salt, NULL, 0, buf_bytes(&record));
		int64_t before = clock_wall_us();
		verifier_line(v, bytes_of(line.p, line.n - 1));
		verifying += clock_wall_us() - before;
	}
	verifier_end(v, true, &r);
	say("verify, lines in memory", clock_wall_us() - verifying);
	verifier_free(&v);
	note_signer_free(&signer);
	fclose(f);
	remove(path);
	return r.kind == VERIFY_GOOD && bad == 0 ? 0 : 1;
}
