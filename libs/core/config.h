/* SPDX-License-Identifier: MIT
 *
 * Configuration: a table per program says which variables exist. Values come from the environment, else from the file
 * named by SEKISHO_CONFIG (lines NAME=value, # comments), else from the default. A problem is one line that names the
 * variable; the program then exits with 78 (EX_CONFIG of sysexits.h). A name in the file that is in nobody's table
 * is an error when it begins with the program's own prefix, and is left to the other services otherwise.
 */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/rc.h"

#define CONFIG_EXIT 78

enum config_type {
	CONFIG_STRING,	 /* const char * */
	CONFIG_INT,	 /* int64_t, between min and max */
	CONFIG_SIZE,	 /* int64_t octets; suffix K, M, G */
	CONFIG_DURATION, /* int64_t milliseconds; suffix ms, s, m, h, d is required */
	CONFIG_BOOL,	 /* bool; true/false, yes/no, 1/0 */
	CONFIG_PATH,	 /* const char *, must be readable when not empty */
};

struct config_entry {
	const char *name; /* whole variable name, SEKISHO_... */
	enum config_type type;
	void *target;		  /* of the type's C type */
	const char *default_text; /* NULL: required */
	int64_t min, max;	  /* INT, SIZE, DURATION; 0,0: any value that is not negative */
	const char *help;	  /* one line, unit included */
};
#define CONFIG_END                                                                                                     \
	{                                                                                                              \
		.name = NULL                                                                                           \
	}

/* Fill all targets of the tables (an array of pointers to entries, NULL at its end). Strings are kept until exit.
 * own_prefix: "SEKISHO_INGEST_". */
enum rc config_load(const struct config_entry *const *tables, const char *own_prefix, struct err *e) MUST_CHECK;
/* One line per entry: name, value in force, help. Names that contain PASSWORD or SECRET show "***". */
void config_print(const struct config_entry *const *tables, FILE *to);
/* "30s" -> 30000, "1h" -> 3600000. Exposed for the tests and for the command line. */
enum rc config_parse_duration(const char *s, int64_t *ms_r) MUST_CHECK;
enum rc config_parse_size(const char *s, int64_t *octets_r) MUST_CHECK;

#endif
