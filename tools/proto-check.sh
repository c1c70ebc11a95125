#!/bin/bash
# SPDX-License-Identifier: MIT
# Style of proto/*.proto, and that nothing changed that a service of the version before could not read: compared with the
# descriptors in proto/baseline.binpb, which are those of the last release (before the first: the last agreed state).
#
#   proto-check.sh              check
#   proto-check.sh --accept     make the present state the baseline
set -euo pipefail
cd "$(dirname "$0")/.."
buf=$(echo tools/node/node_modules/@bufbuild/buf-*/bin/buf)
baseline=proto/baseline.binpb
case ${1-} in
--accept) exec "$buf" build proto --exclude-source-info -o "$baseline" ;;
'') ;;
*) sed -n '6,7s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
esac
"$buf" lint proto
"$buf" breaking proto --against "$baseline"
