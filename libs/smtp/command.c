/* SPDX-License-Identifier: MIT
 *
 * Command lines. Each verb has one row in a table: its name and how its argument is read. Parameters of MAIL and RCPT
 * are two more tables. A parameter given twice, or one that nobody offered, is refused.
 */
#include "smtp/command.h"

#include "core/id.h"
#include "smtp/xtext.h"

#define ENVID_MAX	100 /* RFC 3461, 5.4 */
#define ORCPT_MAX	500
#define IDEMPOTENCY_MAX 600 /* 200 octets, each perhaps as +XX */
#define SIZE_DIGITS_MAX 18

static const struct smtp_fault syntax = {501, "5.5.4", "syntax error in parameters or arguments"};
static const struct smtp_fault bad_sender = {501, "5.1.7", "bad sender address syntax"};
static const struct smtp_fault bad_recipient = {501, "5.1.3", "bad recipient address syntax"};
static const struct smtp_fault bad_sender_domain = {553, "5.1.7", "sender's domain is not a valid name"};
static const struct smtp_fault bad_recipient_domain = {550, "5.1.3", "recipient's domain is not a valid name"};
static const struct smtp_fault not_offered = {555, "5.5.4", "parameter not recognised"};
static const struct smtp_fault twice = {501, "5.5.4", "parameter given twice"};
static const struct smtp_fault needs_smtputf8 = {553, "5.6.7", "address needs the SMTPUTF8 parameter"};
static const struct smtp_fault bad_octets = {500, "5.5.2", "control or 8-bit character in command"};
static const struct smtp_fault bad_name = {501, "5.5.4", "needs a domain name or an address literal"};
static const struct smtp_fault no_argument = {501, "5.5.4", "takes no argument"};
static const struct smtp_fault bad_value = {501, "5.5.4", "malformed parameter value"};

static bool
next_word(struct bytes *rest, struct bytes *word_r)
{
	size_t i = 0;
	while (i < rest->n && rest->p[i] != ' ')
		i++;
	*word_r = bytes_of(rest->p, i);
	size_t skip = i < rest->n ? i + 1 : i;
	*rest = bytes_of(rest->p + skip, rest->n - skip);
	return word_r->n > 0;
}

static bool
decimal(struct bytes t, uint64_t *v_r)
{
	uint64_t v = 0;
	if (t.n == 0 || t.n > SIZE_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < t.n; i++) {
		if (t.p[i] < '0' || t.p[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(t.p[i] - '0');
	}
	*v_r = v;
	return true;
}

/* --- NOTIFY ------------------------------------------------------------------------------------------------ */
static const struct {
	const char *name;
	unsigned bit;
} notify_names[] = {{"NEVER", SMTP_NOTIFY_NEVER},
		    {"SUCCESS", SMTP_NOTIFY_SUCCESS},
		    {"FAILURE", SMTP_NOTIFY_FAILURE},
		    {"DELAY", SMTP_NOTIFY_DELAY}};

void
smtp_notify_format(unsigned notify, char out[SMTP_NOTIFY_SIZE])
{
	out[0] = '\0';
	for (size_t i = 0; i < sizeof(notify_names) / sizeof(*notify_names); i++) {
		if ((notify & notify_names[i].bit) == 0)
			continue;
		if (out[0] != '\0')
			strcat(out, ",");
		strcat(out, notify_names[i].name);
	}
}

bool
smtp_notify_parse(struct bytes text, unsigned *notify_r)
{
	unsigned v = 0;
	for (size_t i = 0; i <= text.n;) {
		size_t from = i;
		while (i < text.n && text.p[i] != ',')
			i++;
		unsigned bit = 0;
		for (size_t k = 0; k < sizeof(notify_names) / sizeof(*notify_names); k++)
			if (bytes_ieq(bytes_of(text.p + from, i - from), bytes_str(notify_names[k].name)))
				bit = notify_names[k].bit;
		if (bit == 0 || (v & bit) != 0)
			return false;
		v |= bit;
		i++;
	}
	if ((v & SMTP_NOTIFY_NEVER) != 0 && v != SMTP_NOTIFY_NEVER)
		return false;
	*notify_r = v;
	return true;
}

/* --- parameters -------------------------------------------------------------------------------------------- */
struct param {
	const char *name;
	unsigned offer; /* 0: always offered */
	bool value;	/* must have one, or must have none */
	const struct smtp_fault *(*take)(struct smtp_command *c, struct bytes value);
};

static const struct smtp_fault *
take_size(struct smtp_command *c, struct bytes v)
{
	c->mail.has_size = true;
	return decimal(v, &c->mail.size) ? NULL : &bad_value;
}

static const struct smtp_fault *
take_body(struct smtp_command *c, struct bytes v)
{
	c->mail.eight_bit = bytes_ieq(v, bytes_str("8BITMIME"));
	return c->mail.eight_bit || bytes_ieq(v, bytes_str("7BIT")) ? NULL : &bad_value;
}

static const struct smtp_fault *
take_smtputf8(struct smtp_command *c, struct bytes v)
{
	c->mail.smtputf8 = true;
	return NULL;
}

/* Who the submitter says it was is nothing we trust or pass on (RFC 4954, 5); it must still be well-formed. */
static const struct smtp_fault *
take_auth(struct smtp_command *c, struct bytes v)
{
	return smtp_xtext_valid(v) && v.n <= ORCPT_MAX ? NULL : &bad_value;
}

static const struct smtp_fault *
take_ret(struct smtp_command *c, struct bytes v)
{
	c->mail.ret = bytes_ieq(v, bytes_str("FULL"))	? SMTP_RET_FULL
		      : bytes_ieq(v, bytes_str("HDRS")) ? SMTP_RET_HDRS
							: SMTP_RET_NONE;
	return c->mail.ret != SMTP_RET_NONE ? NULL : &bad_value;
}

static const struct smtp_fault *
take_envid(struct smtp_command *c, struct bytes v)
{
	c->mail.envid = v;
	return smtp_xtext_printable(v) && v.n <= ENVID_MAX ? NULL : &bad_value;
}

static const struct smtp_fault *
take_idempotency(struct smtp_command *c, struct bytes v)
{
	c->mail.idempotency = v;
	return smtp_xtext_valid(v) && v.n <= IDEMPOTENCY_MAX ? NULL : &bad_value;
}

static const struct smtp_fault *
take_trace(struct smtp_command *c, struct bytes v)
{
	char text[TRACEPARENT_SIZE] = "";
	if (v.n != TRACEPARENT_SIZE - 1)
		return &bad_value;
	memcpy(text, v.p, v.n);
	c->mail.trace = v;
	return traceparent_valid(text) ? NULL : &bad_value;
}

static const struct smtp_fault *
take_notify(struct smtp_command *c, struct bytes v)
{
	return smtp_notify_parse(v, &c->rcpt.notify) ? NULL : &bad_value;
}

/* The type is an atom; the address is xtext, or utf-8-addr-xtext and its kin (RFC 6533) with UTF-8 as it is. */
static const struct smtp_fault *
take_orcpt(struct smtp_command *c, struct bytes v)
{
	const uint8_t *semi = memchr(v.p, ';', v.n);
	if (semi == NULL || semi == v.p || v.n > ORCPT_MAX)
		return &bad_value;
	struct bytes type = bytes_of(v.p, (size_t)(semi - v.p));
	struct bytes addr = bytes_of(semi + 1, v.n - type.n - 1);
	for (size_t i = 0; i < type.n; i++)
		if (!((type.p[i] | 0x20) >= 'a' && (type.p[i] | 0x20) <= 'z') && type.p[i] != '-' &&
		    !(type.p[i] >= '0' && type.p[i] <= '9'))
			return &bad_value;
	bool utf8 = bytes_ieq(type, bytes_str("utf-8"));
	if (addr.n == 0 || (utf8 ? !smtp_utf8_valid(addr) : !smtp_xtext_printable(addr)))
		return &bad_value;
	c->rcpt.orcpt = v;
	return NULL;
}

static const struct param mail_params[] = {
    {"SIZE", 0, true, take_size},
    {"BODY", 0, true, take_body},
    {"SMTPUTF8", 0, false, take_smtputf8},
    {"AUTH", 0, true, take_auth},
    {"RET", SMTP_OFFER_DSN, true, take_ret},
    {"ENVID", SMTP_OFFER_DSN, true, take_envid},
    {"XSEKISHO-IDEMPOTENCY", SMTP_OFFER_INTERNAL, true, take_idempotency},
    {"XSEKISHO-TRACE", SMTP_OFFER_INTERNAL, true, take_trace},
    {NULL},
};
static const struct param rcpt_params[] = {
    {"NOTIFY", SMTP_OFFER_DSN, true, take_notify},
    {"ORCPT", SMTP_OFFER_DSN, true, take_orcpt},
    {NULL},
};

static const struct smtp_fault *
take_params(struct bytes rest, const struct param *table, unsigned offers, struct smtp_command *c)
{
	unsigned seen = 0;
	while (rest.n > 0) {
		struct bytes word;
		if (!next_word(&rest, &word))
			continue; /* more than one space: seen from real clients, and harmless */
		const uint8_t *eq = memchr(word.p, '=', word.n);
		struct bytes name = bytes_of(word.p, eq != NULL ? (size_t)(eq - word.p) : word.n);
		struct bytes value = eq != NULL ? bytes_of(eq + 1, word.n - name.n - 1) : bytes_of(NULL, 0);
		int i = 0;
		while (table[i].name != NULL && !bytes_ieq(name, bytes_str(table[i].name)))
			i++;
		if (table[i].name == NULL || (table[i].offer != 0 && (table[i].offer & offers) == 0))
			return &not_offered;
		if ((seen & 1u << i) != 0)
			return &twice;
		seen |= 1u << i;
		if (table[i].value != (eq != NULL && value.n > 0))
			return &bad_value;
		const struct smtp_fault *f = table[i].take(c, value);
		if (f != NULL)
			return f;
	}
	return NULL;
}

/* --- verbs -------------------------------------------------------------------------------------------------- */
static const struct smtp_fault *
read_name(struct bytes rest, unsigned offers, struct smtp_command *c)
{
	c->argument = rest;
	bool literal = rest.n > 0 && rest.p[0] == '[';
	bool ok = literal ? smtp_literal_valid(rest) : smtp_domain_valid(rest, true);
	return ok ? NULL : &bad_name;
}

/* "FROM:" or "TO:", any case. Spaces after the colon are no grammar, but every server takes them. */
static bool
skip_keyword(struct bytes *rest, const char *keyword)
{
	size_t n = strlen(keyword);
	if (rest->n < n || !bytes_ieq(bytes_of(rest->p, n), bytes_str(keyword)))
		return false;
	while (n < rest->n && rest->p[n] == ' ')
		n++;
	*rest = bytes_of(rest->p + n, rest->n - n);
	return true;
}

/* False: a name that neither DNS nor the directory can hold, though it has the form of a domain. */
static bool
domain_usable(const struct smtp_address *a)
{
	char ascii[SMTP_ASCII_DOMAIN_SIZE];
	return a->domain.n == 0 || a->literal || smtp_domain_ascii(a->domain, ascii, NULL) == RC_OK;
}

static const struct smtp_fault *
read_mail(struct bytes rest, unsigned offers, struct smtp_command *c)
{
	size_t used;
	if (!skip_keyword(&rest, "FROM:"))
		return &syntax;
	if (smtp_path_parse(rest, true, false, &c->mail.from, &used, NULL) != RC_OK)
		return &bad_sender;
	rest = bytes_of(rest.p + used, rest.n - used);
	if (rest.n > 0 && rest.p[0] != ' ')
		return &bad_sender;
	if (!domain_usable(&c->mail.from))
		return &bad_sender_domain;
	const struct smtp_fault *f = take_params(rest, mail_params, offers, c);
	if (f == NULL && c->mail.from.utf8 && !c->mail.smtputf8)
		return &needs_smtputf8;
	return f;
}

static const struct smtp_fault *
read_rcpt(struct bytes rest, unsigned offers, struct smtp_command *c)
{
	size_t used;
	if (!skip_keyword(&rest, "TO:"))
		return &syntax;
	if (smtp_path_parse(rest, false, true, &c->rcpt.to, &used, NULL) != RC_OK)
		return &bad_recipient;
	rest = bytes_of(rest.p + used, rest.n - used);
	if (rest.n > 0 && rest.p[0] != ' ')
		return &bad_recipient;
	if (!domain_usable(&c->rcpt.to))
		return &bad_recipient_domain;
	return take_params(rest, rcpt_params, offers, c);
}

static const struct smtp_fault *
read_nothing(struct bytes rest, unsigned offers, struct smtp_command *c)
{
	return rest.n == 0 ? NULL : &no_argument;
}

static const struct smtp_fault *
read_rest(struct bytes rest, unsigned offers, struct smtp_command *c)
{
	c->argument = rest;
	return NULL;
}

static const struct smtp_fault *
read_bdat(struct bytes rest, unsigned offers, struct smtp_command *c)
{
	struct bytes word;
	if (!next_word(&rest, &word) || !decimal(word, &c->chunk))
		return &syntax;
	c->last = bytes_ieq(rest, bytes_str("LAST"));
	return c->last || rest.n == 0 ? NULL : &syntax;
}

static const struct smtp_fault *
read_auth(struct bytes rest, unsigned offers, struct smtp_command *c)
{
	if (!next_word(&rest, &c->argument) || c->argument.n > 20)
		return &syntax;
	c->has_initial = rest.n > 0;
	c->initial = rest;
	return memchr(rest.p, ' ', rest.n) == NULL ? NULL : &syntax;
}

static const struct verb {
	const char *name;
	enum smtp_verb verb;
	const struct smtp_fault *(*read)(struct bytes rest, unsigned offers, struct smtp_command *c);
} verbs[] = {
    {"HELO", SMTP_HELO, read_name},
    {"EHLO", SMTP_EHLO, read_name},
    {"MAIL", SMTP_MAIL, read_mail},
    {"RCPT", SMTP_RCPT, read_rcpt},
    {"DATA", SMTP_DATA, read_nothing},
    {"BDAT", SMTP_BDAT, read_bdat},
    {"RSET", SMTP_RSET, read_nothing},
    {"NOOP", SMTP_NOOP, read_rest},
    {"QUIT", SMTP_QUIT, read_nothing},
    {"AUTH", SMTP_AUTH, read_auth},
    {"STARTTLS", SMTP_STARTTLS, read_nothing},
    {"VRFY", SMTP_VRFY, read_rest},
    {"EXPN", SMTP_EXPN, read_rest},
    {"HELP", SMTP_HELP, read_rest},
    {NULL, SMTP_UNKNOWN, read_rest},
};

const char *
smtp_verb_str(enum smtp_verb v)
{
	for (const struct verb *k = verbs; k->name != NULL; k++)
		if (k->verb == v)
			return k->name;
	return "unknown";
}

const struct smtp_fault *
smtp_command_parse(struct bytes line, unsigned offers, struct smtp_command *out_r)
{
	struct smtp_command c = {0};
	struct bytes word, rest = line;
	for (size_t i = 0; i < line.n; i++)
		if (line.p[i] < 0x20 || line.p[i] == 0x7f)
			return &bad_octets;
	while (rest.n > 0 && rest.p[rest.n - 1] == ' ')
		rest.n--;
	const struct verb *v = verbs;
	if (next_word(&rest, &word))
		while (v->name != NULL && !bytes_ieq(word, bytes_str(v->name)))
			v++;
	else
		v += sizeof(verbs) / sizeof(*verbs) - 1;
	c.verb = v->verb;
	const struct smtp_fault *f = v->read(rest, offers, &c);
	if (f == NULL)
		*out_r = c;
	return f;
}

/* --- the client's side -------------------------------------------------------------------------------------- */
static void
add_param(struct buf *out, const char *name, struct bytes value)
{
	if (value.p == NULL)
		return;
	buf_addf(out, " %s=", name);
	buf_add_bytes(out, value);
}

void
smtp_mail_write(struct buf *out, const struct smtp_mail *m)
{
	buf_add_str(out, "MAIL FROM:<");
	buf_add_bytes(out, m->from.text);
	buf_add_str(out, ">");
	if (m->has_size)
		buf_addf(out, " SIZE=%llu", (unsigned long long)m->size);
	if (m->eight_bit)
		buf_add_str(out, " BODY=8BITMIME");
	if (m->smtputf8)
		buf_add_str(out, " SMTPUTF8");
	if (m->ret != SMTP_RET_NONE)
		buf_add_str(out, m->ret == SMTP_RET_FULL ? " RET=FULL" : " RET=HDRS");
	add_param(out, "ENVID", m->envid);
	add_param(out, "XSEKISHO-IDEMPOTENCY", m->idempotency);
	add_param(out, "XSEKISHO-TRACE", m->trace);
	buf_add_str(out, "\r\n");
}

void
smtp_rcpt_write(struct buf *out, const struct smtp_rcpt *r)
{
	char notify[SMTP_NOTIFY_SIZE];
	buf_add_str(out, "RCPT TO:<");
	buf_add_bytes(out, r->to.text);
	buf_add_str(out, ">");
	smtp_notify_format(r->notify, notify);
	if (notify[0] != '\0')
		add_param(out, "NOTIFY", bytes_str(notify));
	add_param(out, "ORCPT", r->orcpt);
	buf_add_str(out, "\r\n");
}
