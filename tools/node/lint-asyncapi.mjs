// SPDX-License-Identifier: MIT
// Validates an AsyncAPI document with the parser of the AsyncAPI initiative. Prints what is wrong; exit 1.
//
//   node lint-asyncapi.mjs ../../docs/asyncapi.yaml
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const [file] = process.argv.slice(2);
if (!file) {
  console.error("usage: node lint-asyncapi.mjs DOCUMENT");
  process.exit(64);
}
const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"), { source: file });
// Severity 0 is an error, 1 a warning; what is below is taste.
const wrong = diagnostics.filter((d) => d.severity <= 1 && !["asyncapi-id", "asyncapi-latest-version"].includes(d.code));
for (const d of wrong.slice(0, 50))
  console.error(`${file}:${(d.range?.start.line ?? 0) + 1}: ${d.code}: ${d.message} (${d.path.join("/")})`);
if (wrong.length > 0 || !document) process.exit(1);
