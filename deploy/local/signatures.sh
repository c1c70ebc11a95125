#!/bin/bash
# SPDX-License-Identifier: MIT
# Fetch real ClamAV signatures with freshclam into a folder (default: run/clamav). Use them by
# SEKISHO_CLAMAV_DB=run/clamav make run. Installs clamav-freshclam if it is missing; its daemon is not started.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${1-run/clamav}
if ! command -v freshclam >/dev/null; then
	echo "freshclam is missing; installing clamav-freshclam"
	if [ "$(id -u)" = 0 ]; then deploy/local/packages.sh --as-root clamav-freshclam; else sudo deploy/local/packages.sh --as-root clamav-freshclam; fi
fi
mkdir -p "$target"
target=$(cd "$target" && pwd -P)
conf=$(mktemp)
trap 'rm -f "$conf"' EXIT
cat >"$conf" <<-C
	DatabaseDirectory $target
	DatabaseOwner $(id -un)
	DatabaseMirror ${SEKISHO_CLAMAV_MIRROR:-database.clamav.net}
	UpdateLogFile $target/freshclam.log
	CompressLocalDatabase no
C
freshclam --config-file="$conf" --stdout
rm -f "$target/freshclam.log" "$target/freshclam.dat"
echo "Signatures are in $target. Start with: SEKISHO_CLAMAV_DB=$target make run"
