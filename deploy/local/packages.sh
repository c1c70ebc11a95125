#!/bin/bash
# SPDX-License-Identifier: MIT
# Install the Debian packages of packages.txt that are missing. Prints what apt will add and asks, unless YES=1 or there
# is no terminal. Daemons that come along (PostgreSQL, nginx, Postfix, ...) are not started, now or at the next boot:
# Sekisho runs its own. Does nothing, quickly, when everything is there.
#
#   packages.sh           install what is missing
#   packages.sh --list    print what is missing
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

missing() {
	local wanted
	mapfile -t wanted < <(sed -e 's/#.*//' -e '/^\[/d' -e 's/[[:space:]]//g' -e '/^$/d' "$here/packages.txt")
	# A package counts as there if another one provides it (nodejs of another vendor brings npm along).
	comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) \
		<(dpkg-query -W -f '${db:Status-Status} ${Package}, ${Provides}\n' | sed -n 's/^installed //p' |
			sed -e 's/ *([^)]*)//g' -e 's/, */\n/g' | sort -u)
}

units_of() { # names of the systemd units in packages
	dpkg -L "$@" 2>/dev/null | sed -nE 's,^(/usr)?/lib/systemd/system/([^/]*[^@]\.(service|socket|timer))$,\2,p' | sort -u
}

guard=/usr/sbin/policy-rc.d
guard_on() {
	if [ -e "$guard" ]; then mv "$guard" "$guard.sekisho-saved"; fi
	trap guard_off EXIT
	trap 'exit 130' INT TERM HUP
	printf '#!/bin/sh\n# Placed by Sekisho while it installs packages: start no daemon.\nexit 101\n' >"$guard"
	chmod 755 "$guard"
}
guard_off() {
	rm -f "$guard"
	if [ -e "$guard.sekisho-saved" ]; then mv "$guard.sekisho-saved" "$guard"; fi
}

install_as_root() { # package names
	export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
	local before added
	before=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u)
	guard_on
	# Postfix is a peer in tests, with a configuration of the test's own.
	if command -v debconf-set-selections >/dev/null; then
		echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
	fi
	apt-get install -y -q --no-install-recommends "$@"
	mapfile -t added < <(comm -13 <(echo "$before") \
		<(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u))
	if command -v systemctl >/dev/null && [ ${#added[@]} -gt 0 ]; then
		local unit
		for unit in $(units_of postgresql-common "${added[@]}"); do
			# Only units of what we brought; postgresql-common owns PostgreSQL's.
			if [ "$(systemctl is-enabled "$unit" 2>/dev/null)" = enabled ] &&
				{ [ "${unit#postgresql}" = "$unit" ] || ! grep -qx postgresql-common <<<"$before"; }; then
				systemctl --no-reload -q disable "$unit" || echo "could not disable $unit" >&2
			fi
		done
	fi
}

case ${1-} in
--list) missing; exit ;;
--as-root) shift; install_as_root "$@"; exit ;;
'') ;;
*) sed -n '3,9s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
esac

if ! command -v apt-get >/dev/null; then
	echo "packages.sh: this machine has no apt-get; install what packages.txt names (Debian 12) by hand" >&2
	exit 1
fi
mapfile -t need < <(missing)
[ ${#need[@]} -gt 0 ] || exit 0

sudo=()
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "packages.sh: missing: ${need[*]}" >&2
		echo "Run it as root, or install sudo." >&2
		exit 1
	fi
	sudo=(sudo)
fi
"${sudo[@]}" apt-get update -q
echo "Packages that Sekisho needs and that are missing: ${need[*]}"
echo "apt will add:"
apt-get install -s -q --no-install-recommends "${need[@]}" | awk '/^Inst/ {printf "  %s", $2} END {print ""}' | fmt -w 110
if [ "${YES-}" != 1 ] && [ -t 0 ]; then
	read -r -p "Install them? No daemon will be started. [y/N] " answer
	[[ $answer == [yY]* ]] || { echo "Nothing was installed." >&2; exit 1; }
fi
"${sudo[@]}" "$here/packages.sh" --as-root "${need[@]}"
