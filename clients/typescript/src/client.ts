// SPDX-License-Identifier: MIT
// Operations by method and path, typed by the OpenAPI document; pages; submission that is safe to repeat.
import { randomUUID } from "node:crypto";
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./schema.js";
import { ProblemError, problemOf } from "./problem.js";

export type Api = Client<paths> & { readonly url: string; readonly key: string; readonly fetch: typeof fetch };
export type Submission = components["schemas"]["Submission"];

export interface ConnectOptions {
  /** Such as https://mail.example.com; https only, since the key travels in every request. */
  url: string;
  key: string;
  /** Instead of the global one: for a proxy, or a private authority. */
  fetch?: typeof fetch;
}

export function connect(options: ConnectOptions): Api {
  const url = new URL(options.url);
  if (url.protocol !== "https:") throw new TypeError(`${options.url}: the key would travel in clear`);
  const base = url.href.replace(/\/+$/, "");
  const own = options.fetch ?? fetch;
  const client = createClient<paths>({
    baseUrl: base,
    fetch: (request: Request) => own(request),
    headers: { Authorization: `Bearer ${options.key}` },
    // A redirect would take the key elsewhere; the API sends none.
    redirect: "error",
  });
  return Object.assign(client, { url: base, key: options.key, fetch: own });
}

/** The data of a 2xx; anything else is thrown as a ProblemError. */
export async function ok<T>(asked: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await asked;
  if (!response.ok) throw problemOf(response, error);
  return data as T;
}

/** The same with the resource's ETag, for If-Match; undefined if it was never set and so has no version yet. */
export async function etagOf<T>(
  asked: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<{ data: T; etag: string | undefined }> {
  const { response, ...rest } = await asked;
  const data = await ok<T>(Promise.resolve({ ...rest, response }));
  return { data, etag: response.headers.get("etag") ?? undefined };
}

/** Every page of a list: `for await (const page of pages((cursor) => ok(api.GET("/v1/users", {params: {query: {cursor}}}))))`. */
export async function* pages<T extends { next_cursor: string | null }>(
  ask: (cursor: string | undefined) => Promise<T>,
): AsyncGenerator<T, void, undefined> {
  for (let cursor: string | undefined; ; ) {
    const page = await ask(cursor);
    yield page;
    if (page.next_cursor === null || page.next_cursor === cursor) return;
    cursor = page.next_cursor;
  }
}

const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

/**
 * Sends a message exactly once: the same idempotency key at every try, which go on while the answer is lost or says
 * "later". `tries` 1 gives the caller the first failure, with the key to repeat it with.
 */
export async function submit(
  api: Api,
  message: Submission,
  { key = randomUUID(), tries = 5, firstPauseMs = 500 }: { key?: string; tries?: number; firstPauseMs?: number } = {},
): Promise<{ id: string; replayed: boolean; key: string }> {
  for (let n = 1; ; n++) {
    try {
      const done = await ok(
        api.POST("/v1/messages", { params: { header: { "Idempotency-Key": key } }, body: message }),
      );
      return { ...done, key };
    } catch (e) {
      const again = e instanceof ProblemError ? e.transient : e instanceof TypeError; // fetch: no answer
      if (!again || n >= tries) throw e;
      const asked = e instanceof ProblemError ? (e.retryAfter ?? 0) * 1000 : 0;
      await pause(Math.max(asked, firstPauseMs * 2 ** (n - 1)));
    }
  }
}
