/* SPDX-License-Identifier: MIT
 *
 * Packs questions, unpacks and checks answers. No state. What auth answers is believed only in form: lengths of ids
 * are checked, an answer that does not decode is RC_INTERNAL.
 */
#include "client/auth_client_internal.h"
#include "subjects.h"

const char *
auth_class_str(enum auth_class c)
{
	switch (c) {
	case AUTH_EXTERNAL:
		return "external";
	case AUTH_INTERNAL:
		return "internal";
	case AUTH_AFFILIATE:
		return "affiliate";
	}
	return "unknown";
}

static void *
arena_take(void *a, size_t n)
{
	return arena_alloc(a, n);
}

static void
arena_leave(void *a, void *p)
{
}

enum rc
auth_client_call(const struct auth_call *c, const struct uuid *tenant, const char *subject, const void *in,
		 const ProtobufCMessageDescriptor *out, struct arena *a, void *reply_r, struct err *e)
{
	size_t n = protobuf_c_message_get_packed_size(in);
	uint8_t *packed = arena_alloc(a, n + 1);
	protobuf_c_message_pack(in, packed);
	struct bus_request r = {
	    .subject = subject,
	    .tenant = tenant,
	    .traceparent = c->traceparent,
	    .actor_token = c->actor_token,
	    .payload = {packed, n},
	    .deadline_ms = c->deadline_ms,
	    .idempotency_key = c->idempotency_key,
	    /* Asked for every mail and answered by a look-up; a login takes long on purpose. */
	    .may_share = strcmp(subject, RPC_AUTH_SENDER) == 0 || strcmp(subject, RPC_AUTH_RECIPIENT) == 0,
	};
	struct bytes reply;
	enum rc rc = bus_call(c->bus, &r, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	ProtobufCAllocator arena = {arena_take, arena_leave, a};
	void *m = protobuf_c_message_unpack(out, &arena, reply.n, reply.p);
	if (m == NULL)
		return err_set(e, RC_INTERNAL, "auth's answer does not decode");
	memcpy(reply_r, &m, sizeof(m));
	return RC_OK;
}

static enum rc
call(const struct auth_call *c, const char *subject, const void *in, const ProtobufCMessageDescriptor *out,
     struct arena *a, void *reply_r, struct err *e)
{
	return auth_client_call(c, NULL, subject, in, out, a, reply_r, e);
}

enum rc
auth_client_text(struct bytes b, size_t max, struct arena *a, char **out_r, struct err *e)
{
	if (b.n > max)
		return err_set(e, RC_LIMIT, "a name, address or password is too long");
	if (b.n > 0 && memchr(b.p, 0, b.n) != NULL)
		return err_set(e, RC_INVALID, "NUL in a name, address or password");
	*out_r = arena_strndup(a, b.p, b.n);
	return RC_OK;
}

ProtobufCBinaryData
auth_client_id(const struct uuid *u)
{
	return (ProtobufCBinaryData){sizeof(u->b), (uint8_t *)(uintptr_t)u->b};
}

static ProtobufCBinaryData
bytes_field(struct bytes b)
{
	return (ProtobufCBinaryData){b.n, (uint8_t *)(uintptr_t)b.p};
}

enum rc
auth_client_take_id(ProtobufCBinaryData b, struct uuid *out, struct err *e)
{
	if (b.len != sizeof(out->b))
		return err_set(e, RC_INTERNAL, "auth's answer holds no id");
	memcpy(out->b, b.data, sizeof(out->b));
	return RC_OK;
}

/* --- asked by ingest ---------------------------------------------------------------------------------------- */
enum rc
auth_login(const struct auth_call *c, struct bytes name, struct bytes password, const char *client_ip, struct arena *a,
	   struct auth_identity *out_r, struct err *e)
{
	Sekisho__Auth__LoginRequest q = SEKISHO__AUTH__LOGIN_REQUEST__INIT;
	Sekisho__Auth__LoginReply *p = NULL;
	struct auth_identity out;
	if (name.n > AUTH_NAME_MAX || password.n > AUTH_PASSWORD_MAX)
		return err_set(e, RC_DENIED, "no such name and password");
	q.name = bytes_field(name);
	q.password = bytes_field(password);
	q.client_ip = (char *)(uintptr_t)client_ip;
	enum rc rc = call(c, RPC_AUTH_LOGIN, &q, &sekisho__auth__login_reply__descriptor, a, &p, e);
	if (rc == RC_OK)
		rc = auth_client_take_id(p->tenant, &out.tenant, e);
	if (rc == RC_OK)
		rc = auth_client_take_id(p->account, &out.account, e);
	if (rc == RC_OK)
		rc = auth_client_take_id(p->credential, &out.credential, e);
	if (rc == RC_OK)
		*out_r = out;
	return rc;
}

static struct bytes *
take_addresses(char **v, size_t n, struct arena *a)
{
	struct bytes *out = arena_new_array(a, struct bytes, n + 1);
	for (size_t i = 0; i < n; i++)
		out[i] = bytes_str(v[i]);
	return out;
}

enum rc
auth_sender(const struct auth_call *c, const struct auth_sender_question *q, struct arena *a, struct auth_sender *out_r,
	    struct err *e)
{
	Sekisho__Auth__SenderRequest in = SEKISHO__AUTH__SENDER_REQUEST__INIT;
	Sekisho__Auth__SenderReply *p = NULL;
	struct auth_sender out = {0};
	enum rc rc = auth_client_text(q->address, AUTH_ADDRESS_MAX, a, &in.address, e);
	if (rc != RC_OK)
		return rc;
	in.actor_token = bytes_field(q->actor_token);
	if (q->identity != NULL) {
		in.tenant = auth_client_id(&q->identity->tenant);
		in.account = auth_client_id(&q->identity->account);
		in.credential = auth_client_id(&q->identity->credential);
	}
	rc = call(c, RPC_AUTH_SENDER, &in, &sekisho__auth__sender_reply__descriptor, a, &p, e);
	if (rc == RC_OK)
		rc = auth_client_take_id(p->tenant, &out.tenant, e);
	if (rc == RC_OK)
		rc = auth_client_take_id(p->account, &out.account, e);
	if (rc != RC_OK)
		return rc;
	out.allowed = p->allowed;
	out.reason = p->reason;
	out.account_name = p->account_name;
	out.addresses = take_addresses(p->addresses, p->n_addresses, a);
	out.n_addresses = p->n_addresses;
	*out_r = out;
	return RC_OK;
}

static struct bytes
domain_of(struct bytes address)
{
	const uint8_t *at = address.n > 0 ? memrchr(address.p, '@', address.n) : NULL;
	return at != NULL ? bytes_of(at + 1, address.n - (size_t)(at + 1 - address.p)) : bytes_of(NULL, 0);
}

enum rc
auth_recipient(const struct auth_call *c, struct bytes address, struct arena *a, struct uuid *tenant_r, struct err *e)
{
	Sekisho__Auth__RecipientRequest q = SEKISHO__AUTH__RECIPIENT_REQUEST__INIT;
	Sekisho__Auth__RecipientReply *p = NULL;
	enum rc rc = auth_client_text(address, AUTH_ADDRESS_MAX, a, &q.address, e);
	if (rc == RC_OK)
		rc = auth_client_text(domain_of(address), AUTH_ADDRESS_MAX, a, &q.domain, e);
	if (rc == RC_OK)
		rc = call(c, RPC_AUTH_RECIPIENT, &q, &sekisho__auth__recipient_reply__descriptor, a, &p, e);
	return rc == RC_OK ? auth_client_take_id(p->tenant, tenant_r, e) : rc;
}

bool
auth_address_eq(struct bytes a, struct bytes b)
{
	struct bytes da = domain_of(a), db = domain_of(b);
	return da.n > 0 && a.n == b.n && da.n == db.n && bytes_ieq(da, db) &&
	       bytes_eq(bytes_of(a.p, a.n - da.n), bytes_of(b.p, b.n - db.n));
}

/* --- asked by api ------------------------------------------------------------------------------------------- */
enum rc
auth_api_key(const struct auth_call *c, const char *key, const char *client_ip, const char *request_id,
	     const char *const *audiences, size_t n, struct arena *a, struct auth_key_holder *out_r, struct err *e)
{
	Sekisho__Auth__ApiKeyRequest q = SEKISHO__AUTH__API_KEY_REQUEST__INIT;
	Sekisho__Auth__ApiKeyReply *p = NULL;
	struct auth_key_holder out = {0};
	q.key = (char *)(uintptr_t)key;
	q.client_ip = (char *)(uintptr_t)client_ip;
	q.request_id = (char *)(uintptr_t)request_id;
	q.audiences = (char **)(uintptr_t)audiences;
	q.n_audiences = n;
	enum rc rc = call(c, RPC_AUTH_API_KEY, &q, &sekisho__auth__api_key_reply__descriptor, a, &p, e);
	if (rc == RC_OK && p->tenant.len != 0) /* empty: the platform's */
		rc = auth_client_take_id(p->tenant, &out.tenant, e);
	if (rc == RC_OK)
		rc = auth_client_take_id(p->account, &out.account, e);
	if (rc == RC_OK && p->n_tokens != n)
		rc = err_set(e, RC_INTERNAL, "auth's answer does not fit the question");
	if (rc != RC_OK)
		return rc;
	out.account_name = p->account_name;
	out.permissions = (const char **)p->permissions;
	out.n_permissions = p->n_permissions;
	out.tokens = arena_new_array(a, struct auth_token, n + 1);
	out.n_tokens = n;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(p->tokens[i]->audience, audiences[i]) != 0)
			return err_set(e, RC_INTERNAL, "auth's answer does not fit the question");
		out.tokens[i].audience = p->tokens[i]->audience;
		out.tokens[i].token = bytes_of(p->tokens[i]->token.data, p->tokens[i]->token.len);
	}
	*out_r = out;
	return RC_OK;
}

/* --- asked by policy ---------------------------------------------------------------------------------------- */
struct auth_domain *
auth_client_domains(Sekisho__Auth__Domain *const *in, size_t n, struct arena *a)
{
	struct auth_domain *v = arena_new_array(a, struct auth_domain, n + 1);
	for (size_t i = 0; i < n; i++) {
		enum auth_class class = (enum auth_class)in[i]->class_;
		if (class != AUTH_INTERNAL && class != AUTH_AFFILIATE)
			class = AUTH_EXTERNAL; /* a class of a newer auth is trusted with nothing */
		v[i] = (struct auth_domain){in[i]->name, class, in[i]->proven};
	}
	return v;
}

enum rc
auth_directory(const struct auth_call *c, const struct uuid *tenant, struct arena *a, struct auth_directory *out_r,
	       struct err *e)
{
	Sekisho__Auth__DirectoryRequest q = SEKISHO__AUTH__DIRECTORY_REQUEST__INIT;
	Sekisho__Auth__DirectoryReply *p = NULL;
	q.tenant = auth_client_id(tenant);
	enum rc rc = call(c, RPC_AUTH_DIRECTORY, &q, &sekisho__auth__directory_reply__descriptor, a, &p, e);
	if (rc != RC_OK)
		return rc;
	*out_r = (struct auth_directory){
	    .version = p->version,
	    .tenant_name = bytes_str(p->tenant_name),
	    .domains = auth_client_domains(p->domains, p->n_domains, a),
	    .n_domains = p->n_domains,
	    .sandbox = p->sandbox,
	};
	return RC_OK;
}

/* --- asked by notify ---------------------------------------------------------------------------------------- */
enum rc
auth_contacts(const struct auth_call *c, const struct uuid *tenant, const char *permission, struct arena *a,
	      struct auth_contacts *out_r, struct err *e)
{
	Sekisho__Auth__ContactsRequest q = SEKISHO__AUTH__CONTACTS_REQUEST__INIT;
	Sekisho__Auth__ContactsReply *p = NULL;
	q.permission = (char *)(uintptr_t)permission;
	enum rc rc =
	    auth_client_call(c, tenant, RPC_AUTH_CONTACTS, &q, &sekisho__auth__contacts_reply__descriptor, a, &p, e);
	if (rc == RC_OK)
		*out_r = (struct auth_contacts){(const char **)p->addresses, p->n_addresses, p->language, p->head_mail};
	return rc;
}
