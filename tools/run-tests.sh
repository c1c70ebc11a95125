#!/bin/bash
# SPDX-License-Identifier: MIT
# Run the given test programs one after the other; say at the end which ones failed.
failed=()
for t in "$@"; do
	echo "== $t"
	"$t" || failed+=("$t")
done
if [ ${#failed[@]} -gt 0 ]; then
	printf 'FAILED: %s\n' "${failed[@]}"
	exit 1
fi
echo "all $# unit test programs passed"
