#!/bin/sh
# SPDX-License-Identifier: MIT
exec /usr/bin/python3 "$(dirname "$0")/run.py" "$@"
