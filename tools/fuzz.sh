#!/bin/bash
# SPDX-License-Identifier: MIT
# Run every fuzz target under a folder, one after the other, for a number of seconds each, with bounded memory. Inputs
# that were interesting are kept in corpus/, what crashed in findings/; any finding ends in exit 1.
#
#   fuzz.sh FOLDER SECONDS [NAME...]     NAME: only targets whose path contains it
set -euo pipefail
[ $# -ge 2 ] || { sed -n '3,6s/^# \{0,1\}//p' "$0" >&2; exit 64; }
folder=$1 seconds=$2
shift 2
failed=()
mapfile -t targets < <(find "$folder" -name '*_fuzz' -type f -perm -u+x | sort)
[ ${#targets[@]} -gt 0 ] || { echo "fuzz.sh: no target in $folder" >&2; exit 1; }
for target in "${targets[@]}"; do
	name=${target#"$folder"/}
	if [ $# -gt 0 ]; then
		wanted=0
		for want in "$@"; do [[ $name == *$want* ]] && wanted=1; done
		[ $wanted = 1 ] || continue
	fi
	corpus=$folder/corpus/$name findings=$folder/findings/$name
	mkdir -p "$corpus" "$findings"
	echo "== $name, $seconds s"
	seeds=()
	source=${name%_fuzz}
	if [ -d "${source}_corpus" ]; then seeds=("${source}_corpus"); fi
	if ! "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -malloc_limit_mb=1024 -timeout=10 -max_len=65536 \
		-print_final_stats=1 -artifact_prefix="$findings/" "$corpus" "${seeds[@]}" >"$findings/log" 2>&1; then
		failed+=("$name")
		tail -n 40 "$findings/log"
	fi
	grep -E 'stat::(number_of_executed_units|peak_rss_mb)' "$findings/log" || true
done
if [ ${#failed[@]} -gt 0 ]; then
	echo "findings in: ${failed[*]} (inputs and logs: $folder/findings)" >&2
	exit 1
fi
