#!/usr/bin/env bash
# sqlsmith: random statements over tables, views and functions that score, as setup.sql makes them, in the server that psql finds, as a
# superuser. SQLSMITH_COUNT says how many are executed, SQLSMITH_SEED which; a tenth as many queries come on top, which are executed with
# batching off and on and must give the same rows. LOG is the server's log. STEPS="build sqlsmith" make check runs this in a server of
# its own.
#
# Fails when the server loses a session, for an internal error of ours, and for rows that differ. All our errors are listed: whoever
# reads the list should find each of them deserved.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
export HERE=$here	# for setup.sql
PYTHON=${PYTHON:-/usr/bin/python3}
count=${SQLSMITH_COUNT:-100000}
seed=${SQLSMITH_SEED:-1}
log=${LOG:?the log of the server}
target="host=$PGHOST port=$PGPORT user=sqlsmith dbname=$PGDATABASE"

# smith ARGUMENT...
smith() {
	sqlsmith --target="$target" --exclude-catalog --seed="$seed" "$@" 2>&1
}

psql --no-psqlrc --quiet --output=/dev/null --file="$here/setup.sql"
smith --max-queries="$count" --verbose | grep --text '^queries: ' | tail -n 1
smith --dry-run --max-queries=$((count / 10)) | "$PYTHON" "$here/compare.py" "$target"
"$PYTHON" "$here/report.py" "$here/../../src" "$log"
