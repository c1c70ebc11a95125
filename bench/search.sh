#!/bin/sh
# SPDX-License-Identifier: MIT
# Measure message search over 1,000,000 mails, or as many as told, in a scratch database: search.sh [MAILS]
# It takes some GB under /tmp and some minutes; nothing is left afterwards.
set -eu
cd "$(dirname "$0")/.."
SEKISHO_BUILD=${SEKISHO_BUILD:-$PWD/build}
make -s B="$SEKISHO_BUILD" "$SEKISHO_BUILD/bin/bench-search"
exec tools/with-postgres.sh "$SEKISHO_BUILD/bin/bench-search" "$@"
