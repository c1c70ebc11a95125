// SPDX-License-Identifier: MIT
// What the API says when it does not do what was asked (RFC 9457).
import type { components } from "./schema.js";

export type Problem = components["schemas"]["Problem"];

/** An answer that is no 2xx. `code` is stable; `problem` is undefined if something else than the API answered. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  constructor(
    readonly status: number,
    readonly problem: Problem | undefined,
    /** Seconds to wait, if the answer said so. */
    readonly retryAfter: number | undefined,
  ) {
    super(problem ? `${problem.detail} (${problem.code}, HTTP ${status})` : `HTTP ${status}`);
  }

  get code(): string {
    return this.problem?.code ?? "unknown";
  }

  /** The same request may succeed later. */
  get transient(): boolean {
    return this.status === 429 || this.status >= 500;
  }
}

function isProblem(value: unknown): value is Problem {
  return typeof value === "object" && value !== null && "code" in value && "detail" in value && typeof value.code === "string";
}

export function problemOf(response: Response, body: unknown): ProblemError {
  const wait = Number(response.headers.get("retry-after") ?? NaN);
  return new ProblemError(response.status, isProblem(body) ? body : undefined, Number.isFinite(wait) ? wait : undefined);
}
