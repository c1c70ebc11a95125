#!/bin/sh
# SPDX-License-Identifier: MIT
# Measure Sekisho against Postfix + clamav-milter + OpenDKIM (see bench/README.md). Needs root: Postfix and the other
# daemons start as root and run as their own users.
set -eu
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "bench: needs root, because Postfix does" >&2; exit 77; }
SEKISHO_BUILD=${SEKISHO_BUILD:-$PWD/build}
export SEKISHO_BUILD
make -s B="$SEKISHO_BUILD" bench-bins
[ $# -gt 0 ] || "$SEKISHO_BUILD/bin/bench-record"
exec /usr/bin/python3 bench/bench.py "$@"
