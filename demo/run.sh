#!/usr/bin/env bash
# The demo: demo.sql in psql, in the database that the environment (PGHOST, PGDATABASE, ...) names. The database should be
# empty, and the role a superuser or one who may create the extension.
set -euo pipefail
cd "$(dirname "$0")"

gzip -t census-income-test.csv.gz
exec psql --no-psqlrc --quiet --echo-queries --set=ON_ERROR_STOP=1 --pset=pager=off --file=demo.sql
