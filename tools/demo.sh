#!/usr/bin/env bash
# The demo, in a cluster of its own; started by tools/run.sh.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/server.sh"

build_and_install demo >"$build/demo.log" 2>&1 || die "the build failed, see $build/demo.log"
start_cluster demo
createdb demo
export PGDATABASE=demo
cd "$source_dir"
run_job demo/run.sh "$build/demo.html"
