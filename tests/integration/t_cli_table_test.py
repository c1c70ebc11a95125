# SPDX-License-Identifier: MIT
"""What comes from the one command table: the operations of the API, help, manual pages, completions in real shells. No site
runs for these."""
import json
import os
import re
import shlex
import subprocess

import pytest
import yaml

from lib import site as sites

SEKISHO = sites.BUILD / "bin/sekisho"
PATH = f"{SEKISHO.parent}:{os.environ['PATH']}"


def sekisho(*args, code=0, **env):
    run = subprocess.run([SEKISHO, *args], capture_output=True, timeout=60, env={"PATH": PATH} | env)
    assert run.returncode == code, (args, run.returncode, run.stdout, run.stderr)
    return run.stdout.decode()


TABLE = json.loads(sekisho("help", "--json"))
COMMANDS = {c["command"]: c for c in TABLE["commands"]}


def test_every_operation_has_a_command_and_no_command_another():
    document = yaml.safe_load((sites.ROOT / "docs/openapi.yaml").read_text())
    described = {op["operationId"] for item in document["paths"].values() for name, op in item.items() if "operationId" in op}
    used = {o for c in TABLE["commands"] for o in c["operations"]}
    assert used == described


def test_every_query_parameter_has_an_option():
    """Of the command's first operation; what is not an option of the same name stands here."""
    other = {"q": "WORD...", "index": "INDEX", "ended": "--ended", "failed": "--failed", "types": "--type", "after": "--after",
             "recipient": "--recipient"}
    document = yaml.safe_load((sites.ROOT / "docs/openapi.yaml").read_text())
    components = document["components"]["parameters"]
    for path, item in document["paths"].items():
        for op in item.values():
            if "operationId" not in op or op["operationId"] == "submitMessage":
                continue
            for p in op.get("parameters", []):
                p = components[p["$ref"].rsplit("/", 1)[1]] if "$ref" in p else p
                if p["in"] != "query":
                    continue
                commands = [c for c in TABLE["commands"] if op["operationId"] in c["operations"]]
                wanted = other.get(p["name"], "--" + p["name"])
                assert any(wanted in [o["name"] for o in c["options"]] or wanted in c["arguments"] for c in commands), (path, p["name"])


def test_examples_use_what_is_there():
    """Every example is its own command's, and every option in it is known (the rest is u_samples_test)."""
    known = {o["name"] for o in TABLE["everywhere"]}
    for name, c in COMMANDS.items():
        assert c["examples"], name
        for line in c["examples"]:
            assert line.startswith(f"sekisho {name}"), line
            words = shlex.split(line)
            words = words[:words.index("--")] if "--" in words else words
            options = {w for w in words if w.startswith("--")}
            assert options <= known | {o["name"] for o in c["options"]}, line


def test_exit_codes_are_said_everywhere():
    codes = {str(x["code"]): x["meaning"] for x in TABLE["exit_codes"]}
    assert set(codes) == {"0", "1", "2", "3"}
    for text in (sekisho("help"), sekisho("man").replace("\\-", "-")):
        for code, meaning in codes.items():
            assert meaning in text and code in text


def test_manual_pages(tmp_path):
    sekisho("man", "--output", str(tmp_path))
    pages = sorted(tmp_path.glob("*.1"))
    assert {p.stem for p in pages} == {"sekisho"} | {"sekisho-" + c.replace(" ", "-") for c in COMMANDS}
    run = subprocess.run(["mandoc", "-T", "lint", "-W", "error", *pages], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0 and run.stdout == "", run.stdout
    for page in pages:
        text = subprocess.run(["mandoc", "-T", "utf8", page], capture_output=True, text=True, check=True).stdout
        text = re.sub(".\b", "", text)
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "ENVIRONMENT"):
            assert re.search(f"^{section}$", text, re.M), (page.name, section)
        if page.stem != "sekisho":
            command = COMMANDS[next(c for c in COMMANDS if page.stem == "sekisho-" + c.replace(" ", "-"))]
            for example in command["examples"]:
                assert " ".join(example.split()) in " ".join(text.split()), (page.name, example)


def offered(shell, line, folder):
    """What a real shell would offer at the end of the line, in an empty folder (where we know nothing it offers files)."""
    script = sekisho("completion", shell)
    if shell == "bash":
        words = line.split(" ")
        run = (f"{script}\nCOMP_WORDS=({' '.join(shlex.quote(w) for w in words)}); COMP_CWORD={len(words) - 1}; _sekisho; "
               'printf "%s\\n" "${COMPREPLY[@]}"')
        out = subprocess.run(["bash", "-c", run], capture_output=True, text=True, timeout=60, env={"PATH": PATH}, cwd=folder)
    elif shell == "fish":
        out = subprocess.run(["fish", "--no-config", "-c", f"{script}\ncomplete -C {shlex.quote(line)}"], capture_output=True, text=True,
                             timeout=60, cwd=folder, env={"PATH": PATH, "HOME": str(folder.parent), "XDG_CONFIG_HOME": str(folder.parent)})
    else:
        # compadd and _files are the completion system's; here they say what they were given.
        words = line.split(" ")
        run = ("compdef() { :; }; compadd() { shift 2; print -rl -- \"$@\"; }; _files() { :; }\n"
               f"{script}\nwords=({' '.join(shlex.quote(w) if w else chr(39) * 2 for w in words)}); CURRENT={len(words)}; _sekisho")
        out = subprocess.run(["zsh", "-f", "-c", run], capture_output=True, text=True, timeout=60, env={"PATH": PATH}, cwd=folder)
    assert out.stderr == "", out.stderr
    return {w for w in out.stdout.split("\n") if w}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell, tmp_path):
    assert {"message", "hold", "webhook", "audit"} <= offered(shell, "sekisho ", tmp_path)
    assert offered(shell, "sekisho message ", tmp_path) == {"list", "search", "show", "trace", "lookup"}
    assert offered(shell, "sekisho hold re", tmp_path) == {"release"}
    assert offered(shell, "sekisho route set outbound --tls ", tmp_path) == {"may", "encrypt", "verify"}
    assert offered(shell, "sekisho route get ", tmp_path) == {"outbound", "inbound"}
    assert offered(shell, "sekisho role put x --permission hold.", tmp_path) == {"hold.release", "hold.discard"}
    assert {"--state", "--limit", "--json"} <= offered(shell, "sekisho message list --", tmp_path)
    assert offered(shell, "sekisho nonsense ", tmp_path) == set()


def test_help_needs_nothing():
    assert "message trace ID" in sekisho("help")
    assert sekisho("message", "--help", code=0) == sekisho("help")
    assert "--cursor" in sekisho("message", "list", "--help")
    assert json.loads(sekisho("help", "whoami", "--json"))["operations"] == ["getMe"]
    assert "no such command" in subprocess.run([SEKISHO, "help", "nonsense"], capture_output=True, text=True).stderr
