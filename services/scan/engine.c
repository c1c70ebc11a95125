/* SPDX-License-Identifier: MIT
 *
 * libclamav with limits that alert, no clean cache (a cached "clean" would hide layers from us), and its callbacks
 * turned into findings. libclamav's message callback is one per process, so the running scan is in a static.
 */
#include "engine.h"

#include <clamav.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "layers.h"

#define RECURSION_MAX 16
#define FILES_MAX     10000

struct engine {
	struct cl_engine *cl;
	uint64_t signatures, file_octets;
	char name[64];
};

static struct running {
	struct findings *findings;
	struct layers layers;
} running;

/* --- callbacks ------------------------------------------------------------------------------------------ */

static void
on_message(enum cl_msg severity, const char *full, const char *text, void *ctx)
{
	if (running.findings == NULL || severity < CL_MSG_WARN)
		return;
	char reason[160];
	snprintf(reason, sizeof(reason), "scanner: %.*s", (int)strcspn(text, "\r\n"), text);
	findings_add(running.findings, FACTS_UNSCANNABLE, reason);
	running.findings->anomaly = true;
}

static cl_error_t
on_layer(int fd, const char *type, const char **ancestors, size_t parent_size, const char *name, size_t size,
	 const char *buffer, uint32_t level, uint32_t attributes, void *ctx)
{
	layers_enter(&running.layers, type != NULL ? type : "", level, bytes_of(buffer, buffer != NULL ? size : 0));
	return CL_CLEAN;
}

static cl_error_t
on_layer_end(int fd, int result, const char *virus, void *ctx)
{
	layers_leave(&running.layers);
	return CL_CLEAN;
}

static cl_error_t
on_member(const char *type, unsigned long packed, const char *name, unsigned long octets, int encrypted,
	  unsigned int position, void *ctx)
{
	layers_member(&running.layers, octets, name, encrypted != 0);
	return CL_CLEAN;
}

/* --- loading -------------------------------------------------------------------------------------------- */

static bool
is_signature_file(const char *name)
{
	static const char *const endings[] = {".cvd", ".cld", ".cud", ".ndb", ".ndu",  ".hdb",	".hdu",	 ".hsb", ".hsu",
					      ".mdb", ".mdu", ".msb", ".msu", ".ldb",  ".ldu",	".yara", ".cbc", ".db",
					      ".cdb", ".crb", ".fp",  ".sfp", ".ign",  ".ign2", ".ftm",	 ".wdb", ".pdb",
					      ".gdb", ".idb", ".ioc", ".imp", ".info", ".pwdb", ".yar"};
	const char *dot = strrchr(name, '.');
	for (size_t i = 0; dot != NULL && i < sizeof(endings) / sizeof(endings[0]); i++)
		if (strcmp(dot, endings[i]) == 0)
			return true;
	return false;
}

static void
walk_folder(const char *folder, void (*each)(const char *path, const struct stat *st, void *ctx), void *ctx)
{
	DIR *d = opendir(folder);
	if (d == NULL)
		return;
	for (struct dirent *de; (de = readdir(d)) != NULL;) {
		char path[4096];
		struct stat st;
		snprintf(path, sizeof(path), "%s/%s", folder, de->d_name);
		if (is_signature_file(de->d_name) && stat(path, &st) == 0 && S_ISREG(st.st_mode))
			each(path, &st, ctx);
	}
	closedir(d);
}

/* Files that take signatures back, or describe others, say nothing of how new the signatures are. */
static bool
holds_signatures(const char *ending)
{
	static const char *const others[] = {".fp", ".sfp", ".ign", ".ign2", ".wdb", ".info", ".ftm", ".pwdb"};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(ending, others[i]) == 0)
			return false;
	return true;
}

struct newest {
	int64_t daily_us, any_us;
};

static void
find_newest(const char *path, const struct stat *st, void *ctx)
{
	struct newest *n = ctx;
	int64_t t = (int64_t)st->st_mtime * 1000000;
	const char *dot = strrchr(path, '.'), *name = strrchr(path, '/') + 1;
	if (strcmp(dot, ".cvd") == 0 || strcmp(dot, ".cld") == 0) {
		struct cl_cvd *head = cl_cvdhead(path);
		if (head != NULL) {
			t = (int64_t)head->stime * 1000000;
			cl_cvdfree(head);
		}
	}
	if (strncmp(name, "daily.c", 7) == 0 && t > n->daily_us)
		n->daily_us = t;
	if (holds_signatures(dot) && t > n->any_us)
		n->any_us = t;
}

int64_t
engine_folder_time_us(const char *folder)
{
	struct newest n = {0, 0};
	walk_folder(folder, find_newest, &n);
	return n.daily_us != 0 ? n.daily_us : n.any_us;
}

static uint64_t
mix(uint64_t h, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const uint8_t *)p)[i]) * 1099511628211u;
	return h;
}

/* Order of the folder must not matter: sum of the files' own prints. */
static void
add_print(const char *path, const struct stat *st, void *ctx)
{
	uint64_t h = mix(14695981039346656037u, path, strlen(path));
	h = mix(h, &st->st_size, sizeof(st->st_size));
	h = mix(h, &st->st_mtim, sizeof(st->st_mtim));
	h = mix(h, &st->st_ino, sizeof(st->st_ino));
	*(uint64_t *)ctx += h | 1;
}

uint64_t
engine_folder_print(const char *folder)
{
	uint64_t print = 0;
	walk_folder(folder, add_print, &print);
	return print;
}

static cl_error_t
set_limits(struct cl_engine *cl, const struct engine_limits *limits)
{
	const struct {
		enum cl_engine_field field;
		long long value;
	} v[] = {
	    {CL_ENGINE_MAX_SCANSIZE, limits->scan_octets},
	    {CL_ENGINE_MAX_FILESIZE, limits->file_octets},
	    {CL_ENGINE_MAX_RECURSION, RECURSION_MAX},
	    {CL_ENGINE_MAX_FILES, FILES_MAX},
	    {CL_ENGINE_MAX_SCANTIME, limits->scan_ms},
	    /* These make libclamav skip work without an alert, so they must not be met before the file limit. */
	    {CL_ENGINE_MAX_EMBEDDEDPE, limits->file_octets},
	    {CL_ENGINE_MAX_HTMLNORMALIZE, limits->file_octets},
	    {CL_ENGINE_MAX_HTMLNOTAGS, limits->file_octets},
	    {CL_ENGINE_MAX_SCRIPTNORMALIZE, limits->file_octets},
	    {CL_ENGINE_MAX_ZIPTYPERCG, limits->file_octets},
	    {CL_ENGINE_PCRE_MAX_FILESIZE, limits->file_octets},
	    {CL_ENGINE_DISABLE_CACHE, 1},
	    {CL_ENGINE_DISABLE_PE_STATS, 1},
	};
	cl_error_t rc = CL_SUCCESS;
	for (size_t i = 0; rc == CL_SUCCESS && i < sizeof(v) / sizeof(v[0]); i++)
		rc = cl_engine_set_num(cl, v[i].field, v[i].value);
	return rc;
}

enum rc
engine_load(const char *folder, const struct engine_limits *limits, struct engine **out_r, struct err *e)
{
	if (engine_folder_print(folder) == 0)
		return err_set(e, RC_NOT_FOUND, "no signature files");
	cl_error_t rc = cl_init(CL_INIT_DEFAULT);
	if (rc != CL_SUCCESS)
		return err_set(e, RC_INTERNAL, "libclamav: %s", cl_strerror(rc));
	struct engine *n = calloc(1, sizeof(*n));
	unsigned signatures = 0;
	if (n == NULL || (n->cl = cl_engine_new()) == NULL) {
		free(n);
		return err_set(e, RC_INTERNAL, "libclamav: no engine");
	}
	cl_set_clcb_msg(on_message);
	rc = set_limits(n->cl, limits);
	if (rc == CL_SUCCESS)
		rc = cl_load(folder, n->cl, &signatures, CL_DB_STDOPT);
	if (rc == CL_SUCCESS)
		rc = cl_engine_compile(n->cl);
	if (rc != CL_SUCCESS) {
		engine_free(&n);
		return err_set(e, RC_RETRY, "signatures do not load: %s", cl_strerror(rc));
	}
	cl_engine_set_clcb_file_inspection(n->cl, on_layer);
	cl_engine_set_clcb_post_scan(n->cl, on_layer_end);
	cl_engine_set_clcb_meta(n->cl, on_member);
	n->signatures = signatures;
	n->file_octets = (uint64_t)limits->file_octets;
	snprintf(n->name, sizeof(n->name), "clamav %s/%lld", cl_retver(),
		 cl_engine_get_num(n->cl, CL_ENGINE_DB_VERSION, NULL));
	*out_r = n;
	return RC_OK;
}

void
engine_free(struct engine **engine)
{
	if (engine == NULL || *engine == NULL)
		return;
	cl_engine_free((*engine)->cl);
	free(*engine);
	*engine = NULL;
}

enum rc
engine_set_folder(struct engine *engine, const char *folder, struct err *e)
{
	cl_error_t rc = cl_engine_set_str(engine->cl, CL_ENGINE_TMPDIR, folder);
	if (rc != CL_SUCCESS)
		return err_set(e, RC_INTERNAL, "temp folder: %s", cl_strerror(rc));
	return RC_OK;
}

uint64_t
engine_signatures(const struct engine *engine)
{
	return engine->signatures;
}

const char *
engine_name(const struct engine *engine)
{
	return engine->name;
}

/* --- scanning ------------------------------------------------------------------------------------------- */

static void
add_detection(struct findings *f, const char *name)
{
	char reason[160];
	snprintf(reason, sizeof(reason), "scanner: %s", name);
	if (strncmp(name, "Heuristics.Limits.", 18) == 0)
		findings_add(f, FACTS_LIMIT, reason);
	else if (strncmp(name, "Heuristics.Encrypted.", 21) == 0)
		findings_add(f, FACTS_ENCRYPTED, reason);
	else
		findings_add_signature(f, name);
}

void
engine_scan(struct engine *engine, struct bytes b, enum engine_as as, struct findings *f)
{
	if (b.n == 0)
		return;
	struct cl_scan_options options = {
	    .general = CL_SCAN_GENERAL_HEURISTICS,
	    .parse = as == ENGINE_MESSAGE ? ~(unsigned)CL_SCAN_PARSE_MAIL : ~0u,
	    .heuristic =
		CL_SCAN_HEURISTIC_EXCEEDS_MAX | CL_SCAN_HEURISTIC_ENCRYPTED_ARCHIVE | CL_SCAN_HEURISTIC_ENCRYPTED_DOC,
	};
	const char *virus = NULL;
	cl_fmap_t *map = cl_fmap_open_memory(b.p, b.n);
	if (map == NULL) {
		findings_add(f, FACTS_ERROR, "scanner: out of memory");
		f->anomaly = true;
		return;
	}
	running.findings = f;
	layers_begin(&running.layers, f, engine->file_octets,
		     as == ENGINE_FILE	 ? LAYERS_FILE
		     : as == ENGINE_TEXT ? LAYERS_TEXT
					 : LAYERS_MAIL);
	cl_error_t rc = cl_scanmap_callback(map, NULL, &virus, NULL, engine->cl, &options, NULL);
	layers_end(&running.layers, rc == CL_VIRUS ? virus : NULL);
	running.findings = NULL;
	cl_fmap_close(map);
	if (rc == CL_VIRUS) {
		add_detection(f, virus != NULL ? virus : "");
	} else if (rc != CL_CLEAN) {
		char reason[128];
		snprintf(reason, sizeof(reason), "scanner: %s", cl_strerror(rc));
		bool bound = rc == CL_ETIMEOUT || rc == CL_EMAXREC || rc == CL_EMAXSIZE || rc == CL_EMAXFILES;
		findings_add(f, bound ? FACTS_LIMIT : FACTS_UNSCANNABLE, reason);
		f->anomaly = true;
	}
}
