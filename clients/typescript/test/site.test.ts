// SPDX-License-Identifier: MIT
// Against a running Sekisho: SEKISHO_URL, SEKISHO_API_KEY (an administrator's), SEKISHO_SEND_KEY (a person's),
// SEKISHO_SENDER (that person's address); NODE_EXTRA_CA_CERTS names the authority. tests/integration/v_typescript_test.py
// sets all that up.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { connect, etagOf, events, ok, pages, ProblemError, submit } from "../src/index.js";

const env = process.env;
const url = env["SEKISHO_URL"];
const skip = url ? false : "SEKISHO_URL is not set: no site to try it on";
const admin = connect({ url: url ?? "https://localhost", key: env["SEKISHO_API_KEY"] ?? "" });
const person = connect({ url: url ?? "https://localhost", key: env["SEKISHO_SEND_KEY"] ?? "" });
const sender = env["SEKISHO_SENDER"] ?? "";

const mail = (subject: string) => ({ from: sender, to: [`ts-${randomUUID()}@sink.example`], subject, text: "見積です\n" });

test("who am I", { skip }, async () => {
  const me = await ok(admin.GET("/v1/me"));
  assert.ok(me.permissions.includes("message.read"));
});

test("a submission is one message, whatever happens to the answers", { skip }, async () => {
  const message = mail("once");
  const key = randomUUID();
  const first = await submit(person, message, { key });
  const second = await submit(person, message, { key });
  assert.equal(first.replayed, false);
  assert.deepEqual(second, { id: first.id, replayed: true, key });
  const found = await ok(person.GET("/v1/submissions/{key}", { params: { path: { key } } }));
  assert.equal(found.id, first.id);
});

test("every page, each message once", { skip }, async () => {
  const sent = new Set<string>();
  for (let n = 0; n < 5; n++) sent.add((await submit(person, mail(`page ${n}`))).id);
  const seen: string[] = [];
  for (let tries = 0; tries < 100 && ![...sent].every((id) => seen.includes(id)); tries++) {
    seen.length = 0; // delivery takes them a moment after the 202
    const query = (cursor: string | undefined) => ({ limit: 2, sender, ...(cursor !== undefined ? { cursor } : {}) });
    for await (const page of pages((cursor) => ok(admin.GET("/v1/messages", { params: { query: query(cursor) } })))) {
      assert.ok(page.messages.length <= 2);
      seen.push(...page.messages.map((m) => m.id));
    }
  }
  assert.equal(new Set(seen).size, seen.length);
  for (const id of sent) assert.ok(seen.includes(id), id);
});

test("a change that somebody else overtook is refused", { skip }, async () => {
  const put = (uncertain: "ask" | "retry", etag?: string) =>
    ok(
      admin.PUT("/v1/settings/delivery", {
        params: { header: etag === undefined ? {} : { "If-Match": etag } },
        body: { uncertain },
      }),
    );
  await put("retry"); // what was never set has no version
  const { data, etag } = await etagOf(admin.GET("/v1/settings/delivery"));
  assert.ok(etag);
  assert.ok((await put("ask", etag)).version > data.version);
  await assert.rejects(put("retry", etag), (e) => e instanceof ProblemError && e.status === 412 && e.code === "precondition");
});

test("events arrive, and resume behind one", { skip }, async () => {
  const wanted = (await submit(person, mail("event"))).id;
  const stop = new AbortController();
  let position = -1;
  for await (const e of events(admin, { after: -1, types: ["message.accepted"], signal: stop.signal }))
    if (e.subject === wanted) {
      assert.equal(e.type, "message.accepted");
      position = e.position;
      break;
    }
  const later = (await submit(person, mail("later"))).id;
  for await (const e of events(admin, { after: position, types: ["message.accepted"], signal: stop.signal })) {
    assert.ok(e.position > position);
    if (e.subject === later) break;
  }
  stop.abort();
});

test("what is wrong is said where", { skip }, async () => {
  const bad = ok(admin.POST("/v1/keys", { body: { kind: "api_key", name: "x", permissions: [7] as never } }));
  await assert.rejects(bad, (e) => e instanceof ProblemError && e.status === 422 && (e.problem?.errors?.length ?? 0) > 0);
  const key = connect({ url: url ?? "", key: "wrong" });
  await assert.rejects(ok(key.GET("/v1/me")), (e) => e instanceof ProblemError && e.status === 401);
});
