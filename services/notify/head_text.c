/* SPDX-License-Identifier: MIT
 *
 * The words.
 */
#include "head_text.h"

#include <inttypes.h>
#include <string.h>

#include "core/clock.h"

#define ENGLISH                                                                                                        \
	"This is the signed head of your company's audit record in Sekisho.\n"                                         \
	"It was signed at %s and covers the first %" PRIu64 " entries.\n"                                              \
	"\n"                                                                                                           \
	"What to do with it: keep this mail, or the attached file, somewhere outside of Sekisho. Nothing else is\n"    \
	"needed today. Whoever has it can later show whether a single one of those entries was changed, removed,\n"    \
	"added or put in another order since, without trusting Sekisho:\n"                                             \
	"\n"                                                                                                           \
	"  1. Take the record out: sekisho audit export > EXPORT   (or GET /v1/audit/export)\n"                        \
	"  2. Compare, also without a network: sekisho audit verify EXPORT --head %s\n"                                \
	"\n"                                                                                                           \
	"The head, as attached:\n"                                                                                     \
	"\n"                                                                                                           \
	"%s\n"                                                                                                         \
	"The key that signed it (note it once, and compare):\n"                                                        \
	"\n"                                                                                                           \
	"%s\n"                                                                                                         \
	"\n"                                                                                                           \
	"You get this mail once a day because you may read the record. An administrator turns it off under the\n"      \
	"tenant's settings (head_mail).\n"

#define JAPANESE                                                                                                                                            \
	"関所（Sekisho）に保存されている貴社の監査記録の、署名つきの先頭値（ヘッド）をお送りします。\n"           \
	"署名日時: %s（UTC）　対象: 最初から %" PRIu64 " 件\n"                                                                                             \
	"\n"                                                                                                                                                \
	"お願い: このメールまたは添付ファイルを、関所の外に保管してください。今日の作業はそれだけです。\n"    \
	"これがあれば、対象の記録が後から 1 件でも書き換え・削除・追加・並べ替えられていないかを、関所を\n"   \
	"信用しなくても確かめられます。\n"                                                                                                   \
	"\n"                                                                                                                                                \
	"  1. 記録を書き出す: sekisho audit export > EXPORT   （または GET /v1/audit/export）\n"                                                \
	"  2. 照合する（ネットワーク不要）: sekisho audit verify EXPORT --head %s\n"                                                          \
	"\n"                                                                                                                                                \
	"ヘッド（添付と同じもの）:\n"                                                                                                           \
	"\n"                                                                                                                                                \
	"%s\n"                                                                                                                                              \
	"署名した鍵（一度控えておき、毎回見比べてください）:\n"                                                                    \
	"\n"                                                                                                                                                \
	"%s\n"                                                                                                                                              \
	"\n"                                                                                                                                                \
	"このメールは監査記録の閲覧権限を持つ方に 1 日 1 回届きます。停止するには、テナント設定の head_mail を\n" \
	"オフにしてください。\n"

struct head_mail
head_text(const struct head_facts *f, const char *language, struct arena *a)
{
	char at[CLOCK_RFC3339_SIZE];
	struct head_mail m;
	clock_rfc3339(f->at_us, at);
	at[19] = 'Z'; /* whole seconds */
	at[20] = '\0';
	m.file = arena_printf(a, "sekisho-head-%.10s-%" PRIu64 ".txt", at, f->size);
	const char *english = arena_printf(a, ENGLISH, at, f->size, m.file, f->checkpoint, f->verifier_key);
	const char *japanese = arena_printf(a, JAPANESE, at, f->size, m.file, f->checkpoint, f->verifier_key);
	bool ja = strcmp(language, "ja") == 0;
	m.subject = ja ? arena_printf(a, "監査記録のヘッド %.10s（%" PRIu64 " 件）", at, f->size)
		       : arena_printf(a, "Head of the audit record, %.10s (%" PRIu64 " entries)", at, f->size);
	m.text = arena_printf(a, "%s\n----------------------------------------\n\n%s", ja ? japanese : english,
			      ja ? english : japanese);
	return m;
}
