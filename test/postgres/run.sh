#!/usr/bin/env bash
# PostgreSQL's own regression tests, in two servers: one that has loaded this extension, and one that has not. What psql prints must
# be the same. STEPS="build postgres" make check runs this in a build; POSTGRES_SOURCE is where PostgreSQL's sources are.
#
# Usage: run.sh FOLDER BINDIR	the folder is for what is made, and the installation has the extension
#
# With sources of the server's minor version all tests pass. With those of another some differ from what is expected of them, in both
# servers alike, in what has changed in between (15.20 over the tests of 15.18: psql skips the data of a COPY that has failed,
# rules are shown with AS, and so on); FOLDER/with/regression.diffs has it.
set -euo pipefail

folder=$1
bindir=$2

die() {
	echo "$0: $*" >&2
	exit 1
}

[ -e "${POSTGRES_SOURCE:-}/src/test/regress/parallel_schedule" ] ||
	die "set POSTGRES_SOURCE to the sources of PostgreSQL, as from \"apt-get source postgresql-15\""
major=$("$PG_CONFIG" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
grep -q "^PACKAGE_VERSION='$major" "$POSTGRES_SOURCE/configure" ||
	die "$POSTGRES_SOURCE holds another version than $major"

# The tests want to write beside themselves, and libraries that Debian does not build.
rm -rf "$folder"
mkdir -p "$folder/lib"
cp -r "$POSTGRES_SOURCE/src/test/regress" "$folder/suite"
gcc -O2 -fPIC -shared -fwrapv -fno-strict-aliasing -w -I"$("$PG_CONFIG" --includedir-server)" \
	-o "$folder/lib/regress.so" "$folder/suite/regress.c"
for library in autoinc refint; do
	ln -s "$("$PG_CONFIG" --pkglibdir)/$library.so" "$folder/lib/"
done

# run_suite NAME SETTING...: results are in FOLDER/NAME
run_suite() {
	local name=$1

	mkdir "$folder/$name"
	printf '%s\n' 'fsync = off' "${@:2}" >"$folder/$name.conf"
	"$(dirname "$("$PG_CONFIG" --pgxs)")/../test/regress/pg_regress" --inputdir="$folder/suite" --outputdir="$folder/$name" \
		--bindir="$bindir" --dlpath="$folder/lib" --temp-instance="$folder/$name/instance" --temp-config="$folder/$name.conf" \
		--port=5432 --no-locale --encoding=UTF8 --max-concurrent-tests=20 --schedule="$folder/suite/parallel_schedule" \
		>"$folder/$name.log" 2>&1 || true
	! grep -E 'terminated by signal|PANIC:' "$folder/$name/log/postmaster.log" || die "a server process has died"
	ls "$folder/$name/results"/*.out >/dev/null || die "no test has run, see $folder/$name.log"
	# from PostgreSQL 16 on it is "not ok 1 - NAME"
	sed -n -E -e 's/^(test|    ) *([a-z0-9_]+) +\.\.\. FAILED.*/\2/p' -e 's/^not ok [0-9]+ +[-+] ([a-z0-9_]+) .*/\1/p' \
		"$folder/$name.log" | sort >"$folder/$name.differing"
}

run_suite without
run_suite with "shared_preload_libraries = 'mtl_rank'" "mtl_rank.batching = on"

tests=$(find "$folder/with/results" -name '*.out' | wc -l)
echo "$tests tests, of which differ from the expected output in both servers: $(tr '\n' ' ' <"$folder/without.differing")"
diff -ru "$folder/without/results" "$folder/with/results" >"$folder/differences" ||
	die "the output of tests differs with the extension, see $folder/differences"
