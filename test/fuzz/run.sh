#!/usr/bin/env bash
# Sends hostile models and rows through the extension, in one session of the server that psql finds (PGHOST, PGDATABASE, ...), as a
# superuser. FUZZ_COUNT says how many models, FUZZ_SEED which; a fifth as many rows come on top, twice. Fails when the session is lost, and
# for any error that is not about the input, for leaked memory, and for anything that takes over a second; see report.sql.
#
# To look at a model that the report names: generate.py and mutate.py as below, with --only=NUMBER.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-/usr/bin/python3}
count=${FUZZ_COUNT:-100000}
seed=${FUZZ_SEED:-1}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$PYTHON" "$here/../oracle/generate.py" --models 1000 --rows 2 --seed "$seed" --out "$work" >/dev/null

script() {
	cat "$here/setup.sql" "$here/../models/dot.sql"
	"$PYTHON" "$here/mutate.py" --seeds "$work" --count "$count" --seed "$seed"
	# The server keeps the types of all records that it has met. The second time it knows them.
	"$PYTHON" "$here/inputs.py" --seeds "$work" --count $((count / 5)) --seed "$seed" --phase rows
	"$PYTHON" "$here/inputs.py" --seeds "$work" --count $((count / 5)) --seed "$seed" --phase 'rows again'
	cat "$here/report.sql"
}

script | psql --no-psqlrc --quiet
