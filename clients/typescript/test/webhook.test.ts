// SPDX-License-Identifier: MIT
// Our verifier against another program's signatures, and against everything that is nearly one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Webhook } from "standardwebhooks";
import { verifyWebhook, WebhookError } from "../src/index.js";

const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const body = '{"type":"recipient.delivered","timestamp":"2026-11-22T03:04:05Z","data":{"名":"関所"}}';
const at = new Date("2026-11-22T03:04:05Z");

function signed(id = "msg_1", text = body, when = at, with_ = secret): Record<string, string> {
  return {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(when.getTime() / 1000)),
    "webhook-signature": new Webhook(with_).sign(id, when, text),
  };
}
const now = at.getTime();

test("genuine", () => {
  assert.deepEqual(verifyWebhook(secret, signed(), body, { now }), JSON.parse(body));
  assert.deepEqual(verifyWebhook(secret, new Headers(signed()), Buffer.from(body), { now }), JSON.parse(body));
  const old = { ...signed(), "webhook-signature": `v1,AAAA ${signed()["webhook-signature"]} v2,x` };
  assert.deepEqual(verifyWebhook(secret, old, body, { now }), JSON.parse(body));
});

const other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const nearly: [string, () => unknown][] = [
  ["another body", () => verifyWebhook(secret, signed(), body + " ", { now })],
  ["another id", () => verifyWebhook(secret, { ...signed(), "webhook-id": "msg_2" }, body, { now })],
  ["another time", () => verifyWebhook(secret, { ...signed(), "webhook-timestamp": "1795316646" }, body, { now: 1795316646000 })],
  ["another secret", () => verifyWebhook(other, signed(), body, { now })],
  ["too old", () => verifyWebhook(secret, signed(), body, { now: now + 301_000 })],
  ["too early", () => verifyWebhook(secret, signed(), body, { now: now - 301_000 })],
  ["no signature", () => verifyWebhook(secret, { ...signed(), "webhook-signature": "" }, body, { now })],
  ["empty signature", () => verifyWebhook(secret, { ...signed(), "webhook-signature": "v1," }, body, { now })],
  ["no id", () => verifyWebhook(secret, { ...signed(), "webhook-id": undefined }, body, { now })],
  ["two ids", () => verifyWebhook(secret, { ...signed(), "webhook-id": ["a", "b"] }, body, { now })],
  ["time in words", () => verifyWebhook(secret, { ...signed(), "webhook-timestamp": "now" }, body, { now })],
  ["no secret", () => verifyWebhook("whsec_", signed(), body, { now })],
];
for (const [name, call] of nearly) test(name, () => assert.throws(call, WebhookError));
