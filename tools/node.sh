#!/bin/bash
# SPDX-License-Identifier: MIT
# The npm packages of a folder, as its lock file says, installed once. Quick when nothing changed.
#
#   node.sh install FOLDER...     tools/node: what make lint needs; clients/typescript: the client
set -euo pipefail
cd "$(dirname "$0")/.."

[ "${1-}" = install ] && [ $# -gt 1 ] || { sed -n '3,5s/^# \{0,1\}//p' "$0" >&2; exit 64; }
shift
if ! command -v npm >/dev/null || [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 18 ]; then
	echo "node.sh: needs node 18 or later and npm (make deps)" >&2
	exit 1
fi
for folder; do
	stamp=$folder/node_modules/.installed
	sum=$(cat "$folder/package.json" "$folder/package-lock.json" | sha256sum)
	if [ "$(cat "$stamp" 2>/dev/null)" != "$sum" ]; then
		(cd "$folder" && npm ci --silent --no-progress)
		echo "$sum" >"$stamp"
	fi
done
