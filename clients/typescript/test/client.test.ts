// SPDX-License-Identifier: MIT
// The helpers against answers that a real site gives seldom: none, "later", cut off, or hostile ones.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, events, ok, pages, ProblemError, submit, type SekishoEvent } from "../src/index.js";
import { parseEvents } from "../src/events.js";

type Answer = () => Response | Promise<Response>;

function scripted(...answers: Answer[]) {
  const seen: Request[] = [];
  const api = connect({
    url: "https://localhost:1/",
    key: "k",
    fetch: async (input, init) => {
      seen.push(new Request(input as string, init));
      const next = answers.shift();
      if (!next) throw new TypeError("nobody there");
      return next();
    },
  });
  return { api, seen };
}
const json = (status: number, value: unknown, headers = {}): Answer => () =>
  new Response(JSON.stringify(value), { status, headers: { "content-type": "application/json", ...headers } });
const problem = (status: number, code: string, headers = {}): Answer =>
  json(status, { type: `/problems/${code}`, title: "", status, code, detail: `${code}!`, request_id: "r", trace_id: "0" }, headers);
const lost: Answer = () => {
  throw new TypeError("fetch failed");
};
const message = { from: "a@a.example", to: ["b@b.example"], text: "x" };
const made = { id: "00000000-0000-7000-8000-000000000001", replayed: false };

test("the key never travels in clear", () => assert.throws(() => connect({ url: "http://localhost", key: "k" }), TypeError));

test("submit repeats with one key", async () => {
  const { api, seen } = scripted(lost, problem(503, "try_later", { "retry-after": "0" }), problem(429, "rate_limited"), json(202, made));
  const done = await submit(api, message, { firstPauseMs: 1 });
  assert.equal(done.id, made.id);
  assert.equal(seen.length, 4);
  assert.deepEqual([...new Set(seen.map((r) => r.headers.get("idempotency-key")))], [done.key]);
  assert.equal(seen[0]?.headers.get("authorization"), "Bearer k");
});

test("submit does not repeat a refusal", async () => {
  const { api, seen } = scripted(problem(422, "refused"), json(202, made));
  await assert.rejects(submit(api, message, { firstPauseMs: 1 }), (e) => e instanceof ProblemError && e.code === "refused" && e.status === 422);
  assert.equal(seen.length, 1);
});

test("submit gives up", async () => {
  const { api, seen } = scripted(lost, lost, lost);
  await assert.rejects(submit(api, message, { firstPauseMs: 1, tries: 3 }), TypeError);
  assert.equal(seen.length, 3);
});

test("an answer that is no problem document", async () => {
  const { api } = scripted(() => new Response("<html>", { status: 502 }));
  await assert.rejects(ok(api.GET("/v1/me")), (e) => e instanceof ProblemError && e.status === 502 && e.code === "unknown");
});

test("pages end, even if the server repeats a cursor", async () => {
  const cursors = ["a", "b", null];
  let asked = 0;
  for await (const page of pages(async () => ({ next_cursor: cursors[asked++] ?? null }))) void page;
  assert.equal(asked, 3);
  asked = 0;
  for await (const page of pages(async () => (asked++, { next_cursor: "same" }))) void page;
  assert.equal(asked, 2);
});

function stream(...pieces: string[]): ReadableStream<Uint8Array> {
  const left = pieces.map((p) => new TextEncoder().encode(p));
  return new ReadableStream({
    pull(c) {
      const next = left.shift();
      if (next) c.enqueue(next);
      else c.close();
    },
  });
}

test("events come out the same, however they are cut", async () => {
  const text = "\u{feff}: hello\n\nid: 7\r\nevent: x\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\nid: 8\n\ndata: 関所\n\ndata: cut off";
  for (const n of [1, 2, 3, 7, 1000]) {
    const got = [];
    const pieces = text.match(new RegExp(`[^]{1,${n}}`, "gu")) ?? [];
    for await (const e of parseEvents(stream(...pieces))) got.push(e);
    const want = [{ id: "7", data: '{"a":\n1}' }, { id: "8", data: undefined }, { id: "8", data: "関所" }];
    assert.deepEqual(got, want, `pieces of ${n}`);
  }
});

test("a line without end is an error, not memory", async () => {
  const endless = stream(...Array<string>(40).fill("x".repeat(64 * 1024)));
  await assert.rejects(async () => {
    for await (const e of parseEvents(endless)) void e;
  }, RangeError);
});

test("events resume behind the last one", async () => {
  const event = (position: number) => `id: ${position}\ndata: {"position":${position}}\n\n`;
  const answer = (...pieces: string[]): Answer => () => new Response(stream(...pieces), { status: 200 });
  const { api, seen } = scripted(answer(event(1), event(2), "id: 3\nda"), lost, problem(503, "try_later"), answer(event(3), event(4)));
  const got: SekishoEvent[] = [];
  for await (const e of events(api, { after: 0, firstPauseMs: 1, types: ["a", "b"] })) {
    got.push(e);
    if (got.length === 4) break;
  }
  assert.deepEqual(got.map((e) => e.position), [1, 2, 3, 4]);
  assert.deepEqual(seen.map((r) => r.headers.get("last-event-id")), ["0", "2", "2", "2"]);
  assert.equal(new URL(seen[0]?.url ?? "").search, "?types=a%2Cb");
});

test("events from now on are resumed although none came", async () => {
  const answer = (...pieces: string[]): Answer => () => new Response(stream(...pieces), { status: 200 });
  const { api, seen } = scripted(answer("id: 41\n\n"), lost, answer("id: 41\n\n", "id: 57\n\n", "id: 60\nda"), answer('id: 58\ndata: {"position":58}\n\n'));
  for await (const e of events(api, { firstPauseMs: 1 })) {
    assert.equal(e.position, 58);
    break;
  }
  assert.deepEqual(seen.map((r) => r.headers.get("last-event-id")), [null, "41", "41", "57"]);
});

test("events end when the key does", async () => {
  const { api } = scripted(problem(401, "unauthorized"));
  await assert.rejects(async () => {
    for await (const e of events(api)) void e;
  }, (e) => e instanceof ProblemError && e.status === 401);
});
