// SPDX-License-Identifier: MIT
// Server-sent events of the tenant. A lost connection is made again, exactly behind the last event that was handed out.
import type { Api } from "./client.js";
import type { components } from "./schema.js";
import { ProblemError, problemOf } from "./problem.js";

export type SekishoEvent = components["schemas"]["Event"];

export interface EventsOptions {
  /** Position of the last event that was seen; -1: from the beginning; left out: from now on. */
  after?: number;
  types?: string[];
  signal?: AbortSignal;
  /** Called when a connection was lost, before the next one is made. */
  onLost?: (why: unknown) => void;
  firstPauseMs?: number;
}

const MAX = 1024 * 1024;

interface Raw {
  id: string | undefined;
  /** undefined: no event, only the id moved on. */
  data: string | undefined;
}

/** Blocks of one answer that have data or an id. Lines end in CR, LF or CRLF; what is cut off at the end is no block. */
export async function* parseEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<Raw, void, undefined> {
  const text = new TextDecoder();
  const reader = body.getReader();
  let rest = "";
  let size = 0;
  let id: string | undefined;
  let moved = false;
  let data: string[] = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += text.decode(value, { stream: true });
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      if (rest.length > MAX) throw new RangeError("a line of the event stream is too long");
      for (const line of lines) {
        if (line === "") {
          if (data.length > 0 || moved) yield { id, data: data.length > 0 ? data.join("\n") : undefined };
          moved = false;
          data = [];
          size = 0;
          continue;
        }
        const colon = line.indexOf(":");
        const name = colon < 0 ? line : line.slice(0, colon);
        const field = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
        if (name === "id" && !field.includes("\0")) [id, moved] = [field, true];
        if (name !== "data") continue;
        size += field.length + 1;
        if (size > MAX) throw new RangeError("an event is too long");
        data.push(field);
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

async function open(api: Api, last: string | undefined, options: EventsOptions): Promise<ReadableStream<Uint8Array>> {
  const query = options.types?.length ? `?types=${encodeURIComponent(options.types.join(","))}` : "";
  const response = await api.fetch(`${api.url}/v1/events${query}`, {
    headers: {
      Accept: "text/event-stream",
      Authorization: `Bearer ${api.key}`,
      ...(last !== undefined ? { "Last-Event-ID": last } : {}),
    },
    redirect: "error",
    signal: options.signal ?? null,
  });
  if (response.ok && response.body) return response.body;
  throw problemOf(response, await response.json().catch(() => undefined));
}

const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

/** Goes on until the caller stops, the signal fires, or the API refuses for good. */
export async function* events(api: Api, options: EventsOptions = {}): AsyncGenerator<SekishoEvent, void, undefined> {
  let last = options.after === undefined ? undefined : String(options.after);
  const first = options.firstPauseMs ?? 500;
  for (let failures = 0; ; ) {
    let why: unknown;
    try {
      for await (const raw of parseEvents(await open(api, last, options))) {
        if (raw.id !== last || raw.data !== undefined) failures = 0;
        // An id comes alone at the beginning and where nothing was of the types asked for: what follows it may not be lost.
        last = raw.id ?? last;
        if (raw.data !== undefined) yield JSON.parse(raw.data) as SekishoEvent;
      }
    } catch (e) {
      if (options.signal?.aborted) return;
      if ((e instanceof ProblemError && !e.transient) || e instanceof RangeError || e instanceof SyntaxError) throw e;
      why = e;
    }
    if (options.signal?.aborted) return;
    options.onLost?.(why);
    await pause(Math.min(first * 2 ** failures++, 30_000));
  }
}
