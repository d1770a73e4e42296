#!/bin/bash
# install.sh GROUP...: installs the Debian packages of deps/packages.txt that
# are missing (groups: runtime build test; default: runtime build).
# A second run asks dpkg once, needs no network and takes a few milliseconds.
# Services that come with a test package are not started by it: the tests run
# private instances of their own.
set -euo pipefail
list=$(dirname "$0")/packages.txt
groups=" ${*:-runtime build} "

have_virtual() {	# does an installed package provide $1?
	dpkg-query -W -f '${db:Status-Status} ${Provides}\n' |
		grep -qE "^installed .*\b$1\b"
}

wanted=()
declare -A unless=()
while read -r group package rest; do
	[[ -z $group || $group == \#* || $groups != *" $group "* ]] && continue
	wanted+=("$package")
	[[ $rest =~ ^\+unless\ ([a-z0-9.+-]+) ]] && unless[$package]=${BASH_REMATCH[1]}
done <"$list"
[ ${#wanted[@]} -gt 0 ] || { echo "install.sh: no such group:$groups" >&2; exit 2; }

declare -A installed=()
while read -r package status; do
	[ "$status" = installed ] && installed[${package%%:*}]=1
done < <(dpkg-query -W -f '${binary:Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null || true)

missing=()
for package in "${wanted[@]}"; do
	[ -n "${installed[$package]:-}" ] && continue
	if [ -n "${unless[$package]:-}" ] && have_virtual "${unless[$package]}"; then
		echo "install.sh: $package left out, this machine has another ${unless[$package]}" >&2
		continue
	fi
	missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

sudo=()
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || {
		echo "install.sh: missing packages, and neither root nor sudo: ${missing[*]}" >&2
		exit 1
	}
	sudo=(sudo)
fi
apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive APT_LISTCHANGES_FRONTEND=none apt-get -qq -o Dpkg::Use-Pty=0)

# policy-rc.d is Debian's own way to say "install, but start nothing".
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee $policy >/dev/null
	"${sudo[@]}" chmod 755 $policy
	trap '"${sudo[@]}" rm -f $policy' EXIT
fi

echo "install.sh: installing ${missing[*]}" >&2
"${apt[@]}" update
"${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null
