#!/usr/bin/env bash
# The benchmark, in a cluster of its own; started by tools/run.sh. BENCH has arguments for bench/engine.py. With EXPERIMENT, the name of
# another script in bench/ and its arguments, that is run instead.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/server.sh"

{ build_and_install bench && build_make bench --silent engine-module; } >"$build/bench.log" 2>&1 ||
	die "the build failed, see $build/bench.log"
start_cluster bench
createdb bench
export PGDATABASE=bench
cd "$source_dir"
# shellcheck disable=SC2086
if [ -n "${EXPERIMENT:-}" ]; then
	set -- $EXPERIMENT
	[ -f "bench/$1.py" ] || die "there is no bench/$1.py"
	run_job "$PYTHON" "bench/$1.py" "${@:2}"
else
	run_job "$PYTHON" bench/engine.py ${BENCH:-} engine="$build/bench/test/module/engine_module.so"
	run_job "$PYTHON" bench/training.py
fi
