# SPDX-License-Identifier: MIT
"""The schema and the service's own checker say the same of every document in ruleset_test.c's table, except where the
table says that a schema cannot say it. Run by pytest; SEKISHO_BUILD names the build folder."""
import json
import os
import pathlib
import subprocess

import jsonschema

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("SEKISHO_BUILD", HERE.parent.parent / "build"))


def documents():
    binary = BUILD.absolute() / "test/services/policy/ruleset_test"
    out = subprocess.run([binary, "--documents"], capture_output=True, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def test_schema_is_valid():
    jsonschema.Draft202012Validator.check_schema(json.loads((HERE / "policy.schema.json").read_text()))


def test_schema_and_checker_agree():
    validator = jsonschema.Draft202012Validator(json.loads((HERE / "policy.schema.json").read_text()))
    compared, differ = 0, []
    for d in documents():
        try:
            document = json.loads(d["document"])
        except ValueError:
            continue  # not JSON: no matter for a schema
        compared += 1
        if validator.is_valid(document) != (d["valid"] or d["beyond"]):
            differ.append(d)
    assert compared > 80
    assert differ == []
