#!/usr/bin/env bash
# "make check", "make demo" and "make bench": install the Debian packages that are missing, then run tools/check.sh and so on
# on a copy of the sources under build/, as an unprivileged user.
set -euo pipefail

command=$1
top=$(cd "$(dirname "$0")/.." && pwd)
build=$top/build

# What make and a surrounding PostgreSQL environment leave behind must reach neither the builds nor the tests.
for name in MAKEFLAGS MAKEOVERRIDES MFLAGS MAKELEVEL TMPDIR ${!PG@}; do
	[ "$name" = PG_CONFIG ] || unset "$name"
done
export PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/15/bin/pg_config}
export PYTHON=${PYTHON:-/usr/bin/python3}
export LC_ALL=C.UTF-8

die() {
	echo "$0: $*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		command -v sudo >/dev/null || die "needs root or sudo to install: ${missing[*]}"
		sudo "$@"
	fi
}

# need PACKAGE COMMAND...: the package is missing when the command fails
need() {
	"${@:2}" >/dev/null 2>&1 || missing+=("$1")
}

find_missing() {
	local major
	major=$("$PG_CONFIG" --version 2>/dev/null | sed -E 's/^PostgreSQL ([0-9]+).*/\1/') || major=15

	missing=()
	need gcc gcc --version
	need libc6-dev test -e /usr/include/stdio.h
	need "postgresql-$major" test -x "$("$PG_CONFIG" --bindir 2>/dev/null)/initdb"
	need "postgresql-server-dev-$major" test -e "$("$PG_CONFIG" --pgxs 2>/dev/null)"
	need libopenblas0-serial sh -c 'ls /usr/lib/*/openblas-serial/libopenblas.so.0'
	if [ "$command" = check ]; then
		need clang sh -c 'ls /usr/bin/clang /usr/bin/clang-[0-9]* | grep .'
		need "postgresql-$major-pgtap" test -e "$("$PG_CONFIG" --sharedir 2>/dev/null)/extension/pgtap.control"
		need libtap-parser-sourcehandler-pgtap-perl pg_prove --version
		need libipc-run-perl perl -MIPC::Run -e 1
		if [[ " ${STEPS:-} " = *" sqlsmith "* ]]; then
			need sqlsmith sqlsmith --version
		fi
	fi
	if [ "$command" != demo ]; then
		need python3-numpy "$PYTHON" -c 'import numpy'
		need python3-sklearn "$PYTHON" -c 'import sklearn'
		need python3-h5py "$PYTHON" -c 'import h5py'
	fi
	if [ "$command" = bench ]; then
		need python3-torch "$PYTHON" -c 'import torch'
		need python3-onnx "$PYTHON" -c 'import onnx'
		need python3-psycopg2 "$PYTHON" -c 'import psycopg2'
		need "postgresql-plpython3-$major" test -e "$("$PG_CONFIG" --sharedir 2>/dev/null)/extension/plpython3u.control"
		need npm npm --version
	fi
}

# Not local to the function below: its trap runs when that is gone.
no_cluster=/etc/postgresql-common/createcluster.d/mtl_rank.conf

install_packages() {
	command -v apt-get >/dev/null || die "please install what these Debian packages hold: ${missing[*]}"
	echo "Installing ${missing[*]}"
	as_root apt-get -qq update
	# Debian's server package would create a cluster on port 5432 and start it: not while we are installing it.
	trap 'as_root rm -f "$no_cluster"' EXIT
	as_root mkdir -p "${no_cluster%/*}"
	echo 'create_main_cluster = false' | as_root tee "$no_cluster" >/dev/null
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}" </dev/null
	as_root rm -f "$no_cluster"
	trap - EXIT
}

# PostgreSQL refuses to run as root, so root becomes the user that Debian's packages made for it.
choose_user() {
	user=$(id -un)
	as_user=(env)
	if [ "$(id -u)" = 0 ]; then
		user=postgres
		id "$user" >/dev/null 2>&1 || user=nobody
		as_user=(setpriv --reuid="$user" --regid="$(id -gn "$user")" --init-groups
			env HOME="$(getent passwd "$user" | cut -d: -f6)" USER="$user" LOGNAME="$user")
	fi
}

remove_build() {
	rm -rf "$(readlink -f "$build")" "$build" ||
		die "$build is left from a run as another user: remove it with \"sudo make clean\""
}

# The user must own the folder, and come to it through every folder above. Where those are closed to him, as /root is, build/
# is a link to a folder in /tmp.
prepare_build() {
	if [ "$(stat -L -c %U "$build" 2>/dev/null)" != "$user" ]; then
		remove_build
		mkdir "$build"
		chown "$user" "$build"
	fi
	if ! "${as_user[@]}" test -w "$build"; then
		remove_build
		ln -s "$("${as_user[@]}" mktemp -d /tmp/mtl_rank.XXXXXX)" "$build"
	fi
	build=$(readlink -f "$build")
}

# A copy, because the user need not be allowed to read the sources, and what an ordinary make has left there must not be
# taken for this build's. Times are kept, so that only what changed is compiled again.
copy_sources() {
	"${as_user[@]}" rm -rf src
	"${as_user[@]}" mkdir src
	tar -C "$top" --exclude=./.git --exclude=./build -cf - . | "${as_user[@]}" tar -C src -xf -
	"${as_user[@]}" make -C src --silent PG_CONFIG="$PG_CONFIG" clean
}

find_missing
if [ ${#missing[@]} -gt 0 ]; then
	install_packages
	find_missing
	[ ${#missing[@]} = 0 ] || die "still missing after installation: ${missing[*]}"
fi
choose_user
prepare_build
cd "$build"
exec 9<.
flock --nonblock 9 || die "another make check, demo or bench is at work in $build"
copy_sources
exec "${as_user[@]}" src/tools/"$command".sh
