/* SPDX-License-Identifier: MIT
 *
 * The rule: a container must have brought forth a layer for each of its members, or one at least where we cannot count
 * them, unless we have read it ourselves and know that there is nothing in it. No threads.
 */
#include "layers.h"

#include <stdio.h>

#include "facts/archive.h"
#include "facts/sniff.h"

/* libclamav takes no look at five octets or fewer, and neither needs anybody. */
#define MEMBER_IGNORED 5
/* Some unpackers cut at the size limit without a word, at the last buffer that fits. */
#define CUT_SLACK 65536

static const struct {
	const char *type, *what;
} containers[] = {
    {"CL_TYPE_ZIP", "zip"},
    {"CL_TYPE_OOXML_WORD", "zip"},
    {"CL_TYPE_OOXML_PPT", "zip"},
    {"CL_TYPE_OOXML_XL", "zip"},
    {"CL_TYPE_OOXML_HWP", "zip"},
    {"CL_TYPE_ZIPSFX", "zip behind something"},
    {"CL_TYPE_RARSFX", "rar"},
    {"CL_TYPE_7ZSFX", "7z"},
    {"CL_TYPE_ARJSFX", "arj"},
    {"CL_TYPE_CABSFX", "cab"},
    {"CL_TYPE_RAR", "rar"},
    {"CL_TYPE_7Z", "7z"},
    {"CL_TYPE_GZ", "gzip"},
    {"CL_TYPE_BZ", "bzip2"},
    {"CL_TYPE_XZ", "xz"},
    {"CL_TYPE_ARJ", "arj"},
    {"CL_TYPE_MSCAB", "cab"},
    {"CL_TYPE_POSIX_TAR", "tar"},
    {"CL_TYPE_OLD_TAR", "tar"},
    {"CL_TYPE_CPIO_OLD", "cpio"},
    {"CL_TYPE_CPIO_ODC", "cpio"},
    {"CL_TYPE_CPIO_NEWC", "cpio"},
    {"CL_TYPE_CPIO_CRC", "cpio"},
    {"CL_TYPE_MSCHM", "chm"},
    {"CL_TYPE_MSSZDD", "szdd"},
    {"CL_TYPE_EGG", "egg"},
    {"CL_TYPE_ALZ", "alz"},
    {"CL_TYPE_LHA_LZH", "lha"},
    {"CL_TYPE_DMG", "dmg"},
    {"CL_TYPE_ISO9660", "iso9660"},
    {"CL_TYPE_UDF", "udf"},
    {"CL_TYPE_XAR", "xar"},
    {"CL_TYPE_SIS", "sis"},
    {"CL_TYPE_TNEF", "tnef"},
    {"CL_TYPE_NULSFT", "nsis"},
    {"CL_TYPE_ISHIELD_MSI", "installshield"},
    {"CL_TYPE_UUENCODED", "uuencode"},
    {"CL_TYPE_BINHEX", "binhex"},
    {"CL_TYPE_CRYPTFF", "cryptff"},
    {"CL_TYPE_GPT", "disk image"},
    {"CL_TYPE_APM", "disk image"},
    {"CL_TYPE_PART_HFSPLUS", "disk image"},
};

static const char *
container_of(const char *type)
{
	for (size_t i = 0; i < sizeof(containers) / sizeof(containers[0]); i++)
		if (strcmp(containers[i].type, type) == 0)
			return containers[i].what;
	return NULL;
}

void
layers_begin(struct layers *l, struct findings *f, uint64_t octets_max, enum layers_root root)
{
	l->depth = 0;
	l->findings = f;
	l->unopened = NULL;
	l->only_7z_unopened = true;
	l->octets_max = octets_max;
	l->root = root;
}

static void
say(struct layers *l, enum facts_verdict v, const char *what, const char *why)
{
	char text[128];
	snprintf(text, sizeof(text), "%s: %s", what, why);
	findings_add(l->findings, v, text);
}

static void
judge_zip(struct layers *l, const struct archive_list *list)
{
	if (list->unreadable > 0)
		say(l, FACTS_UNSCANNABLE, "zip", "a compression method that is not opened");
	if (list->encrypted > 0)
		say(l, FACTS_ENCRYPTED, "zip", "a member is encrypted");
}

static enum archive_state
list_members(struct layers *l, const char *what, struct bytes content, struct archive_list *list)
{
	enum archive_state state = ARCHIVE_NONE;
	*list = (struct archive_list){0};
	if (strcmp(what, "zip") == 0) {
		state = archive_list_zip(content, MEMBER_IGNORED, list);
		judge_zip(l, list);
		if (state != ARCHIVE_LISTED)
			say(l, FACTS_UNSCANNABLE, what, "its directory is not all there is");
	} else if (strcmp(what, "tar") == 0) {
		state = archive_list_tar(content, MEMBER_IGNORED, list);
		if (state != ARCHIVE_LISTED)
			say(l, FACTS_UNSCANNABLE, what, "its list of members is broken");
	} else if (strcmp(what, "tnef") == 0) {
		state = archive_list_tnef(content, MEMBER_IGNORED, list);
	} else if (strcmp(what, "gzip") == 0 && archive_gzip_is_tiny(content, MEMBER_IGNORED)) {
		state = ARCHIVE_LISTED;
	}
	return state;
}

/* What stands behind the end of a stream, other readers may find. */
static void
look_behind(struct layers *l, struct layer *layer, struct bytes content)
{
	struct archive_list list;
	const char *what = layer->what, *inside = NULL;
	bool bzip2 = strcmp(what, "bzip2") == 0;
	if (bzip2 && !archive_bzip2_is_single(content))
		say(l, FACTS_UNSCANNABLE, what, "octets behind its first stream");
	if (strcmp(what, "gzip") == 0 && !archive_gzip_pads_no_stream(content, l->octets_max))
		say(l, FACTS_UNSCANNABLE, what, "octets behind its padding");
	if (bzip2 || strcmp(what, "gzip") == 0 || strcmp(what, "xz") == 0)
		inside = archive_find_embedded(content);
	if (inside != NULL)
		say(l, FACTS_UNSCANNABLE, inside, "inside another file");
	if (strcmp(what, "zip") == 0 || archive_list_zip(content, MEMBER_IGNORED, &list) != ARCHIVE_LISTED)
		return;
	judge_zip(l, &list);
	layer->expected += list.members;
}

/* What we can read of a container ourselves. */
static void
look_inside(struct layers *l, struct layer *layer, struct bytes content)
{
	struct archive_list list;
	layer->container = true;
	layer->listed = list_members(l, layer->what, content, &list) == ARCHIVE_LISTED;
	layer->expected = layer->listed ? list.members : 1;
	look_behind(l, layer, content);
}

static bool
holds_files(const char *type)
{
	return strcmp(type, "CL_TYPE_MSOLE2") == 0 || strcmp(type, "CL_TYPE_MSEXE") == 0 ||
	       strcmp(type, "CL_TYPE_MAIL") == 0;
}

/* Readers find a zip from its end, and rar and 7z wherever they begin. */
static void
look_for_archives(struct layers *l, struct layer *layer, const char *type, struct bytes content)
{
	struct archive_list list = {0};
	const char *embedded = archive_find_embedded(content);
	enum archive_state zip = archive_list_zip(content, MEMBER_IGNORED, &list);
	if (embedded == NULL && zip == ARCHIVE_NONE)
		return;
	layer->container = layer->listed = true;
	layer->what = embedded != NULL ? embedded : "zip";
	layer->expected = zip == ARCHIVE_LISTED ? list.members : 1;
	if (embedded != NULL && layer->expected == 0)
		layer->expected = 1;
	judge_zip(l, &list);
	if (zip == ARCHIVE_BROKEN && !holds_files(type))
		say(l, FACTS_UNSCANNABLE, "zip", "its directory is not all there is");
	if (embedded != NULL && strcmp(embedded, "rar") == 0 && !holds_files(type))
		say(l, FACTS_UNSCANNABLE, embedded, "inside another file");
}

void
layers_enter(struct layers *l, const char *type, uint32_t level, struct bytes content)
{
	while (l->depth > level)
		layers_leave(l);
	if (l->depth > 0)
		l->stack[l->depth - 1].children++;
	if (l->depth == LAYERS_MAX) {
		findings_add(l->findings, FACTS_LIMIT, "nested too deep");
		return;
	}
	struct layer *layer = &l->stack[l->depth++];
	*layer = (struct layer){.what = container_of(type)};
	if (level == 0 && l->root == LAYERS_MAIL)
		return;
	if (level == 0 && l->root == LAYERS_TEXT) {
		look_for_archives(l, layer, type, content);
		return;
	}
	if (content.p == NULL)
		findings_add(l->findings, FACTS_UNSCANNABLE, "something unpacked cannot be read");
	if (content.n + CUT_SLACK > l->octets_max)
		findings_add(l->findings, FACTS_LIMIT, "a file as large as the limit");
	const char *opaque = sniff_opaque(content);
	if (layer->what != NULL)
		look_inside(l, layer, content);
	else if (opaque != NULL)
		say(l, FACTS_UNSCANNABLE, opaque, "not opened");
	else
		look_for_archives(l, layer, type, content);
	if (strcmp(type, "CL_TYPE_MAIL") == 0)
		findings_add_mail(l->findings, content);
}

void
layers_member(struct layers *l, uint64_t octets, const char *name, bool encrypted)
{
	if (l->depth == 0)
		return;
	struct layer *layer = &l->stack[l->depth - 1];
	/* Programs have members too (resources, overlays), and flags that mean something else. */
	if (!layer->container)
		return;
	if (encrypted)
		say(l, FACTS_ENCRYPTED, layer->what, "a member is encrypted");
	size_t n = name != NULL ? strlen(name) : 0;
	bool folder = n > 0 && (name[n - 1] == '/' || name[n - 1] == '\\');
	if (!layer->listed && octets > MEMBER_IGNORED && !folder && !encrypted)
		layer->expected++;
}

void
layers_leave(struct layers *l)
{
	if (l->depth == 0)
		return;
	const struct layer *layer = &l->stack[--l->depth];
	if (!layer->container)
		return;
	/* Without our own list, expected counts one for the container and one for each member libclamav told of. */
	uint32_t expected = layer->listed || layer->expected == 1 ? layer->expected : layer->expected - 1;
	if (layer->children >= expected)
		return;
	l->only_7z_unopened &= strcmp(layer->what, "7z") == 0;
	if (l->unopened == NULL)
		l->unopened = layer->what;
}

/* Not opened because a limit was met, or because it is encrypted: said by the alert already. */
static bool
is_explained(const struct layers *l, const char *alert)
{
	if (alert == NULL)
		return false;
	return strncmp(alert, "Heuristics.Limits.", 18) == 0 ||
	       (l->only_7z_unopened && strcmp(alert, "Heuristics.Encrypted.7Zip") == 0);
}

void
layers_end(struct layers *l, const char *alert)
{
	while (l->depth > 0)
		layers_leave(l);
	if (l->unopened != NULL && !is_explained(l, alert))
		say(l, FACTS_UNSCANNABLE, l->unopened, "not everything in it was opened");
}
