#!/bin/bash
# SPDX-License-Identifier: MIT
# What can be checked without running anything. Goes on after a failure, so that one run shows everything.
#
#   lint.sh           all checks
#   lint.sh --quick   all but clang-tidy
#   lint.sh --deep    clang-tidy with the path-sensitive analyzer too (many minutes)
set -uo pipefail
cd "$(dirname "$0")/.." || exit
B=${B:-build}
bad=0
step() { # name, command...
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then
		echo "ok    $name"
	else
		bad=1
		echo "WRONG $name"
		head -n 60 <<<"$out" | sed 's/^/      /'
	fi
}

files() { git ls-files --cached --others --exclude-standard -- "$@"; }

formatting() {
	local list
	mapfile -t list < <(files '*.c' '*.h')
	clang-format --dry-run --Werror "${list[@]}"
}
shells() {
	local list
	mapfile -t list < <(files '*.sh' .ci/run)
	shellcheck -S warning "${list[@]}"
}
pythons() { # syntax, without leaving anything behind
	local list
	mapfile -t list < <(files '*.py')
	/usr/bin/python3 - "${list[@]}" <<-'P'
		import ast, sys
		for name in sys.argv[1:]:
		    ast.parse(open(name).read(), name)
	P
}
document() { # what a table makes is what is there
	local scratch rc=0
	scratch=$(mktemp -d)
	/usr/bin/python3 tools/gen_subjects.py --doc "$scratch/SUBJECTS.md" && diff -u docs/SUBJECTS.md "$scratch/SUBJECTS.md" || rc=1
	/usr/bin/python3 tools/gen_actions.py --doc "$scratch/EVENTS.md" && diff -u docs/EVENTS.md "$scratch/EVENTS.md" || rc=1
	/usr/bin/python3 tools/gen_subjects.py --permissions "$scratch/PERMISSIONS.md" && diff -u docs/PERMISSIONS.md "$scratch/PERMISSIONS.md" || rc=1
	if [ -e tools/gen_legs.py ]; then
		/usr/bin/python3 tools/gen_legs.py "$scratch/LEGS.md" && diff -u docs/LEGS.md "$scratch/LEGS.md" || rc=1
	fi
	/usr/bin/python3 tools/gen_asyncapi.py "$scratch/asyncapi.yaml" && diff -u docs/asyncapi.yaml "$scratch/asyncapi.yaml" || rc=1
	rm -rf "$scratch"
	return $rc
}
links() { # what a binary links, not only what a source includes
	local scan=$B/bin/sekisho-scan lib
	[ -x "$scan" ] || { echo "$scan is not built"; return 1; }
	for lib in libnats libpq; do
		if ldd "$scan" | grep -q "$lib"; then echo "scan links $lib"; return 1; fi
	done
	for bin in "$B"/bin/sekisho-*; do
		[ "$bin" = "$scan" ] && continue
		if ldd "$bin" | grep -q libclamav; then echo "$bin links libclamav"; return 1; fi
	done
}
tidy() {
	local list flags
	mapfile -t list < <(files 'libs/*.c' 'services/*.c' 'cli/*.c' | grep -vE '_(test|fuzz)\.c$')
	flags="-std=gnu11 -D_GNU_SOURCE -Ilibs -I$B/gen $(pkg-config --cflags libpq libnats libclamav gmime-3.0 libevent)"
	# Few checks, all of them about real mistakes.
	local checks="-*,bugprone-sizeof-container,bugprone-suspicious-*,bugprone-macro-repeated-side-effects,bugprone-posix-return"
	checks+=",bugprone-signal-handler,bugprone-infinite-loop,bugprone-integer-division"
	[ "$1" = deep ] && checks+=",clang-analyzer-core.*,clang-analyzer-unix.*,-clang-analyzer-core.uninitialized.*"
	# shellcheck disable=SC2086
	printf '%s\n' "${list[@]}" | xargs -P 2 -n 12 sh -c 'clang-tidy --quiet --warnings-as-errors="*" \
		--checks="'"$checks"'" \
		"$@" -- '"$flags"' 2>/dev/null' sh
}

step "layers (tools/layers.py)" /usr/bin/python3 tools/layers.py
step "formatting (make fmt)" formatting
step "shellcheck" shells
step "python syntax" pythons
step "generated documents (make docs)" document
step "what binaries link" links
if [ -d tools/node/node_modules ]; then
	step "protobuf style and compatibility (buf)" tools/proto-check.sh
	step "OpenAPI document" node tools/node/lint-openapi.mjs docs/openapi.yaml
	step "AsyncAPI document" node tools/node/lint-asyncapi.mjs docs/asyncapi.yaml
else
	step "npm packages of the checks (make node-tools)" false
fi
case ${1-} in
--quick) ;;
--deep) step "clang-tidy, with the analyzer" tidy deep ;;
*) step "clang-tidy" tidy quick ;;
esac
exit $bad
