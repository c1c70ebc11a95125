// SPDX-License-Identifier: MIT
// The client: every operation of the OpenAPI document with its types, and what a program wants beside them.
export { connect, ok, pages, submit, etagOf, type Api, type ConnectOptions, type Submission } from "./client.js";
export { ProblemError, type Problem } from "./problem.js";
export { events, type SekishoEvent, type EventsOptions } from "./events.js";
export { verifyWebhook, WebhookError, type WebhookHeaders } from "./webhook.js";
export type { components, operations, paths } from "./schema.js";
