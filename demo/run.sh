#!/usr/bin/env bash
# run.sh [PAGE]: the demo, demo.sql in psql, in the database that the environment (PGHOST, PGDATABASE, ...) names; then page.sql writes
# its pictures to the HTML file PAGE (mtl_rank_demo.html). The database should be empty, and the role a superuser or one who may create
# the extension.
set -euo pipefail
page=$(realpath "${1:-mtl_rank_demo.html}")
cd "$(dirname "$0")"

gzip -t census-income-test.csv.gz hillstrom-email.csv.gz

# Read as input, so that notices come without the name of a file before them.
psql --no-psqlrc --quiet --echo-queries --set=ON_ERROR_STOP=1 --pset=pager=off <demo.sql

psql --no-psqlrc --quiet --no-align --tuples-only --set=ON_ERROR_STOP=1 --pset=pager=off <page.sql >"$page"
echo "Training curves, ROC curves, calibration, gates and networks as pictures: $page"
