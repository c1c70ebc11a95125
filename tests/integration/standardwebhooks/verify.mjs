// SPDX-License-Identifier: MIT
// Reads JSON lines {"secret", "headers", "body"} and answers one line each: "ok", or why not.
import { createInterface } from "node:readline";
import { Webhook } from "standardwebhooks";

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, headers, body } = JSON.parse(line);
  try {
    new Webhook(secret).verify(body, headers);
    console.log("ok");
  } catch (e) {
    console.log(e.message || "no");
  }
}
