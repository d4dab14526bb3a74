#!/usr/bin/env bash
# The benchmark, in a cluster of its own; started by tools/run.sh. PART chooses from its parts, QUICK=1 is to see it work in a few minutes,
# BENCH has more arguments for bench/benchmark.py. With EXPERIMENT, the name of another script in bench/ and its arguments, that is run instead.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/server.sh"

{ build_and_install bench && build_make bench --silent engine-module; } >"$build/bench.log" 2>&1 ||
	die "the build failed, see $build/bench.log"
# All tables fit into shared_buffers several times: larger ones would be read through a ring of a few pages.
export CLUSTER_SETTINGS="shared_buffers = 1GB
max_wal_size = 4GB
autovacuum = off
max_connections = 150"
start_cluster bench
createdb bench
export PGDATABASE=bench
cd "$source_dir"
module=$build/bench/test/module/engine_module.so

# ONNX Runtime's library is in a package of npm; without it the benchmark says so.
install_onnx_runtime() {
	[ -d "$build/npm/node_modules/onnxruntime-node" ] ||
		timeout 300 npm install --prefix "$build/npm" --ignore-scripts --no-audit --no-fund "onnxruntime-node@$1" >"$build/npm.log" 2>&1 ||
		echo "npm could not install onnxruntime-node, see $build/npm.log"
}

# shellcheck disable=SC2086
if [ -n "${EXPERIMENT:-}" ]; then
	set -- $EXPERIMENT
	[ -f "bench/$1.py" ] || die "there is no bench/$1.py"
	if [ "$1" = engine ]; then
		set -- "$@" engine="$module"
	fi
	run_job "$PYTHON" "bench/$1.py" "${@:2}"
else
	install_onnx_runtime 1.30.0
	run_job "$PYTHON" bench/benchmark.py --module "$module" --npm "$build/npm" --results "$build/bench/results" \
		${PART:+--parts "$PART"} ${QUICK:+--quick} ${BENCH:-}
	echo "Written to build/bench/results"
fi
