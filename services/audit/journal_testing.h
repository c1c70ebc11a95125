/* SPDX-License-Identifier: MIT
 *
 * A journal in a folder of its own, for the tests of it: entries that say by their index what they are.
 */
#ifndef AUDIT_JOURNAL_TESTING_H
#define AUDIT_JOURNAL_TESTING_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "journal.h"

static char folder[64];
static const struct uuid one = {{1}}, two = {{2}};

static struct journal *
open_with(int64_t segment)
{
	struct journal *j = NULL;
	struct err e = {.text = ""};
	struct journal_options o = {folder, segment, NULL};
	if (journal_open(&o, &j, &e) != RC_OK)
		fail_msg("%s", e.text);
	return j;
}

static int
setup(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/journal-test-XXXXXX");
	return mkdtemp(folder) == NULL;
}

static int
teardown(void **state)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command) != 0;
}

static void
add(struct journal *j, const struct uuid *tenant, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++) {
		char sealed[100];
		struct journal_entry v = {.tenant = *tenant, .index = i, .at_us = (int64_t)i * 7};
		memcpy(v.intent.b, &i, sizeof(i));
		merkle_leaf(bytes_of(&i, sizeof(i)), &v.leaf);
		memset(sealed, (int)i, sizeof(sealed));
		if (i % 5 != 4) /* that one is erased */
			v.sealed = bytes_of(sealed, i % sizeof(sealed));
		assert_int_equal(journal_add(j, &v, NULL), RC_OK);
	}
}

static void
root_of(uint64_t n, struct merkle_hash *out)
{
	struct merkle_frontier f = {0};
	for (uint64_t i = 0; i < n; i++) {
		struct merkle_hash leaf;
		merkle_leaf(bytes_of(&i, sizeof(i)), &leaf);
		merkle_frontier_add(&f, &leaf);
	}
	merkle_frontier_root(&f, out);
}

static void
holds(struct journal *j, const struct uuid *tenant, uint64_t n, uint64_t head)
{
	struct journal_log l;
	struct merkle_hash root;
	journal_log(j, tenant, &l);
	root_of(n, &root);
	assert_int_equal(l.synced, n);
	assert_int_equal(l.tree.size, n);
	assert_int_equal(l.head, head);
	assert_memory_equal(&l.root, &root, sizeof(root));
}

static void
path_of(uint64_t segment, char out[128])
{
	snprintf(out, 128, "%s/%012llu.journal", folder, (unsigned long long)segment);
}

#endif
