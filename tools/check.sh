#!/usr/bin/env bash
# All tests, in clusters of their own; started by tools/run.sh. STEPS="regress tap" builds and runs only these, FUZZ_COUNT sets
# the number of mutated models. All steps run, whatever fails; the last line counts test programs and files.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/server.sh"

steps="clang regress isolation pgtap tap python import gradients memory oracle metrics engine fuzz"	# between building and the sanitizers
more_steps="postgres sqlsmith"	# only when they are named: they take PostgreSQL's sources, or half an hour
STEPS=${STEPS:-build $steps asan}
results=$build/results
export FUZZ_COUNT=${FUZZ_COUNT:-100000}

# report ok|FAILED NAME
report() {
	echo "$1 $2" >>"$results"
}

# test_program NAME COMMAND...: one test, which passes when the command does
test_program() {
	if "${@:2}"; then
		report ok "$1"
	else
		report FAILED "$1"
	fi
}

# test_files COMMAND FILE...: each file is one test, given to the command; a pattern that matches no file fails
test_files() {
	local command=$1 file

	for file in "${@:2}"; do
		test_program "$file" "$command" "$file"
	done
}

# fresh_database NAME EXTENSION...
fresh_database() {
	createdb "$1"
	export PGDATABASE=$1
	printf 'CREATE EXTENSION "%s";\n' "${@:2}" | psql --no-psqlrc --quiet --set ON_ERROR_STOP=1
}

# installcheck NAME SUITE OUTPUT-FOLDER VARIABLE=VALUE FILE...: runs pg_regress or its isolation twin, which may stop before it
# comes to the last file, and reports each file
installcheck() {
	local log=$build/$1/$2.log status=ok file test

	build_make "$1" --silent installcheck bindir="$(private_path "$1" --bindir)" "$4" 2>&1 | tee "$log" || status=FAILED
	[ $status = ok ] || cat "$build/$1/$3/regression.diffs" || true
	for file in "${@:5}"; do
		test=$(basename "${file%.*}")
		# from PostgreSQL 16 on it is "ok 1 - NAME"
		if grep -q -E -e "^test $test +\.\.\. ok " -e "^ok [0-9]+ +[-+] $test " "$log"; then
			report ok "$1/$2/$test"
		else
			report FAILED "$1/$2/$test"
		fi
	done
	[ $status = ok ] || grep -q "^FAILED $1/$2/" "$results" || report FAILED "$1/$2"
}

step_build() {
	test_program build/gcc build_and_install gcc WERROR=1
}

# Another compiler has other warnings; what it builds is not run.
step_clang() {
	local clang

	clang=$(command -v clang || find /usr/bin -name 'clang-[0-9]*' | sort -V | tail -n 1)
	test_program build/clang build_extension clang CC="$clang" WERROR=1
}

step_regress() {
	installcheck gcc regress . ISOLATION= test/sql/*.sql
}

step_isolation() {
	installcheck gcc isolation output_iso REGRESS= test/isolation/specs/*.spec
}

prove_pgtap() {
	pg_prove --verbose --failures "$1"
}

step_pgtap() {
	fresh_database pgtap mtl_rank pgtap
	test_files prove_pgtap test/tap/*.sql
}

prove_tap() {
	build_make gcc --silent installcheck-tap bindir="$(private_path gcc --bindir)" PROVE_TESTS="$1"
}

step_tap() {
	test_files prove_tap test/t/*.pl
}

python_unittest() {
	[ -e "$1" ] && PYTHONPATH=$source_dir/python "$PYTHON" -m unittest discover \
		--start-directory "$(dirname "$1")" --pattern "$(basename "$1")"
}

# A model file written without our Python module: the server must find the scores that its writer stored in it, of three
# examples with three outputs.
verify_numpy_only() {
	local file=$build/numpy_only.safetensors rows

	"$PYTHON" test/numpy_only/write_model.py "$file" || return
	rows=$(psql --no-psqlrc --no-align --tuples-only --set file="$file" <<-'EOF'
		SELECT count(*) FROM mtl_verify(pg_read_binary_file(:'file')::mtl_model);
	EOF
	)
	echo "verified scores: $rows"
	[ "$rows" = 9 ]
}

step_python() {
	test_files python_unittest python/tests/test_*.py test/oracle/test_*.py
	fresh_database numpy_only mtl_rank
	test_program test/numpy_only verify_numpy_only
}

step_import() {
	fresh_database import mtl_rank
	test_program test/import "$PYTHON" test/import/check.py
}

# Training once more, in double precision, where differences show what a gradient is; in a server that has loaded this build.
compare_gradients() {
	createdb gradients &&
		psql --no-psqlrc --dbname=gradients --set library=mtl_rank --file=test/gradients/gradients.sql
}

step_gradients() {
	test_program build/float64 build_and_install float64 FLOAT64=1 WERROR=1
	start_cluster float64
	test_program test/gradients compare_gradients
}

# A build whose allocations fail, or wait, when the test says so; with room for three models of the specs.
step_memory() {
	test_program build/failing build_and_install failing FAIL_ALLOCATION=1 WERROR=1
	CLUSTER_SETTINGS="mtl_rank.shared_cache_size = '2MB'" start_cluster failing
	FAIL_ALLOCATION=1 installcheck failing isolation output_iso REGRESS= test/memory/specs/*.spec
	fresh_database memory mtl_rank
	test_program test/memory "$PYTHON" test/memory/check.py
}

compare_with_oracle() {
	rm -rf "$build/oracle"
	"$PYTHON" test/oracle/generate.py --out "$build/oracle" &&
		"$PYTHON" test/oracle/check.py "$build/oracle"
}

step_oracle() {
	fresh_database oracle mtl_rank
	test_program test/oracle compare_with_oracle
}

step_metrics() {
	fresh_database metrics mtl_rank
	test_program test/metrics "$PYTHON" test/metrics/check.py
}

# compare_kernels BUILD MODELS [VARIABLE=VALUE]: scores of all kernels and sizes of batches
compare_kernels() {
	build_make "$1" --silent engine-module ${3:+"$3"} &&
		"$PYTHON" test/oracle/generate.py --out "$build/oracle_engine" >/dev/null &&
		"$PYTHON" test/module/check.py "$build/$1/test/module/engine_module.so" "$build/oracle_engine" --models "$2"
}

step_engine() {
	fresh_database engine mtl_rank
	test_program test/module compare_kernels gcc 100
	test_program test/module/permission_hook psql --no-psqlrc --set module="$build/gcc/test/module/engine_module.so" \
		--set file="$PWD/test/models/gated.safetensors" --file=test/module/permission_hook.sql
}

step_fuzz() {
	fresh_database fuzz mtl_rank
	test_program test/fuzz test/fuzz/run.sh
	test_program test/fuzz/training "$PYTHON" test/fuzz/training.py $((FUZZ_COUNT / 50 + 100))
}

# PostgreSQL's own tests, with the extension loaded and without.
step_postgres() {
	test_program test/postgres test/postgres/run.sh "$build/postgres" "$(private_path gcc --bindir)"
}

step_sqlsmith() {
	fresh_database sqlsmith mtl_rank
	test_program test/sqlsmith env LOG="$build/gcc/server.log" test/sqlsmith/run.sh
}

step_asan_build() {
	test_program build/asan build_and_install asan SANITIZE=address,undefined
}

# The sanitizer's runtime must be the first library of the process. Leaks of the server are not ours, and at exit nothing
# is freed.
start_asan_cluster() {
	local init=$sockets/asan_init.so	# LD_PRELOAD cannot say a path with a space, as build/ may be

	gcc -shared -fPIC -Wl,-z,initfirst -o "$init" tools/asan_init.c
	start_cluster asan LD_PRELOAD="$(gcc -print-file-name=libasan.so):$init" \
		ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1:abort_on_error=1
}

step_asan() {
	installcheck asan regress . ISOLATION= test/sql/*.sql
	fresh_database engine mtl_rank
	test_program asan/test/module compare_kernels asan 20 SANITIZE=address,undefined
	fresh_database fuzz mtl_rank
	test_program asan/test/fuzz env FUZZ_COUNT=$((FUZZ_COUNT / 10)) test/fuzz/run.sh
	test_program asan/test/fuzz/training "$PYTHON" test/fuzz/training.py $((FUZZ_COUNT / 500 + 100))
}

run_step() {
	printf '\n== %s\n' "$1"
	run_job "step_$1" || report FAILED "$1"
}

# No test in these clusters means to crash the server.
check_server_log() {
	if grep -E 'terminated by signal|PANIC:|AddressSanitizer:|runtime error:' "$build/$1/server.log"; then
		report FAILED "server of the $1 build, see $build/$1/server.log"
	fi
}

wanted() {
	[[ " $STEPS " = *" $1 "* ]]
}

summary() {
	local passed failed

	passed=$(grep -c ^ok "$results") || true
	failed=$(grep -c ^FAILED "$results") || true
	printf '\n'
	grep ^FAILED "$results" || true
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ]
}

for step in $STEPS; do
	[[ " build $steps $more_steps asan " = *" $step "* ]] || die "no step \"$step\"; there are: build $steps $more_steps asan"
done

: >"$results"
cd "$source_dir"

run_step build
start_cluster gcc
for step in $steps $more_steps; do
	if wanted "$step"; then
		run_step "$step"
	fi
done
check_server_log gcc

if wanted asan; then
	run_step asan_build
	start_asan_cluster
	run_step asan
	check_server_log asan
fi

summary
