// SPDX-License-Identifier: MIT
// Checks an OpenAPI document: its structure, its references, and the rules below. Prints what is wrong; exit 1.
//
//   node lint-openapi.mjs ../../docs/openapi.yaml
import { createConfig, formatProblems, lint } from "@redocly/openapi-core";

const [document] = process.argv.slice(2);
if (!document) {
  console.error("usage: node lint-openapi.mjs DOCUMENT");
  process.exit(64);
}
const config = await createConfig({
  extends: ["minimal"],
  rules: {
    "struct": "error",
    "no-unresolved-refs": "error",
    "no-unused-components": "off", // Event describes what stands inside text/event-stream
    "operation-operationId": "error",
    "operation-operationId-unique": "error",
    "operation-operationId-url-safe": "error",
    "operation-parameters-unique": "error",
    "operation-summary": "error",
    "operation-2xx-response": "error",
    "operation-4xx-response": "off", // GET /v1/health has none
    "path-parameters-defined": "error",
    "path-declaration-must-exist": "error",
    "path-not-include-query": "error",
    "no-path-trailing-slash": "error",
    "no-identical-paths": "error",
    "no-ambiguous-paths": "off", // /v1/policy/check beside /v1/policy/{version}: a literal comes first
    "no-enum-type-mismatch": "error",
    "no-invalid-media-type-examples": "error",
    "no-invalid-schema-examples": "error",
    "no-required-schema-properties-undefined": "error",
    "no-server-trailing-slash": "error",
    "security-defined": "error",
    "operation-tag-defined": "error",
    "tags-alphabetical": "off",
    "tag-description": "off",
    "no-server-example.com": "off",
  },
});
const problems = (await lint({ ref: document, config })).filter((p) => !p.ignored);
if (problems.length > 0) {
  formatProblems(problems, {
    totals: { errors: problems.length, warnings: 0, ignored: 0 },
    format: "stylish",
    version: "1",
    maxProblems: 100,
  });
  process.exit(1);
}
