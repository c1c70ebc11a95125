// SPDX-License-Identifier: MIT
// Standard Webhooks, the receiver's side: is this request from who knows the secret, and fresh?
import { createHmac, timingSafeEqual } from "node:crypto";

export class WebhookError extends Error {
  override readonly name = "WebhookError";
}

/** Headers as node gives them, or as fetch does. */
export type WebhookHeaders = Headers | Record<string, string | string[] | undefined>;

function header(headers: WebhookHeaders, name: string): string {
  const value = headers instanceof Headers ? headers.get(name) : headers[name];
  if (typeof value !== "string" || value === "") throw new WebhookError(`${name} is missing`);
  return value;
}

/**
 * Returns the parsed body if it is genuine, else throws a WebhookError. `body` is what came, octet for octet: a body that
 * was parsed and written again has another signature.
 */
export function verifyWebhook(
  secret: string,
  headers: WebhookHeaders,
  body: string | Uint8Array,
  { now = Date.now(), toleranceSeconds = 300 }: { now?: number; toleranceSeconds?: number } = {},
): unknown {
  const id = header(headers, "webhook-id");
  const timestamp = header(headers, "webhook-timestamp");
  const signatures = header(headers, "webhook-signature");
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  if (key.length < 16) throw new WebhookError("that is no webhook secret");
  if (!/^[0-9]{1,12}$/.test(timestamp)) throw new WebhookError("webhook-timestamp is no time");
  if (Math.abs(now / 1000 - Number(timestamp)) > toleranceSeconds)
    throw new WebhookError("webhook-timestamp is too far from now");
  const wanted = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
  for (const one of signatures.split(" ")) {
    const given = one.startsWith("v1,") ? Buffer.from(one.slice(3), "base64") : Buffer.alloc(0);
    if (given.length === wanted.length && timingSafeEqual(given, wanted))
      return JSON.parse(typeof body === "string" ? body : Buffer.from(body).toString("utf8"));
  }
  throw new WebhookError("no signature fits");
}
