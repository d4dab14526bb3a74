# shellcheck shell=bash
# Builds of the extension, private installations and throw-away clusters, for check.sh and demo.sh to source.
#
# Everything of the build called NAME is in build/NAME: objects, the installation pg/, the cluster data/, server.log.

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$(dirname "$source_dir")
sockets=$(mktemp -d /tmp/mtl_rank.XXXXXX)	# short: the path of a socket may have 107 bytes, that of a checkout has more

# With job control each background job is a process group of its own: Ctrl-C reaches this shell alone, which then ends the
# running job with all its children and stops the servers.
set -m
job=

die() {
	echo "$0: $*" >&2
	exit 1
}

# run_job COMMAND...: wait for it so that a signal is acted upon at once
run_job() {
	local status=0

	"$@" </dev/null &
	job=$!
	wait "$job" || status=$?
	job=
	return "$status"
}

# build_make NAME ARGUMENT...
build_make() {
	mkdir -p "$build/$1"
	make -C "$build/$1" -f ../src/Makefile PG_CONFIG="$PG_CONFIG" "${@:2}"
}

# private_path NAME pg_config-option: where the private installation keeps what PostgreSQL keeps there
private_path() {
	echo "$build/$1/pg$("$PG_CONFIG" "$2")"
}

# Until version 18 a server finds extensions in its own folders only. It looks for those relative to its program, so
# copied programs beside links to all else are an installation that anybody may add an extension to.
install_server() {
	local name=$1 option extensions

	rm -rf "${build:?}/$name/pg"
	mkdir -p "$(private_path "$name" --bindir)"
	cp "$("$PG_CONFIG" --bindir)"/* "$(private_path "$name" --bindir)"
	for option in --pkglibdir --sharedir; do
		link_contents "$("$PG_CONFIG" $option)" "$(private_path "$name" $option)"
	done
	extensions=$(private_path "$name" --sharedir)/extension
	rm "$extensions"
	link_contents "$("$PG_CONFIG" --sharedir)/extension" "$extensions"
}

# link_contents FROM TO: all but another installation of this extension
link_contents() {
	mkdir -p "$2"
	find "$1" -mindepth 1 -maxdepth 1 ! -name 'mtl_rank*' -exec ln -s -t "$2" {} +
}

# build_extension NAME VARIABLE=VALUE...
build_extension() {
	build_make "$1" --silent --keep-going -j"$(nproc)" "${@:2}" all
}

# build_and_install NAME VARIABLE=VALUE...: when the build fails, nothing older is there to be tested in its place
build_and_install() {
	install_server "$1"
	build_extension "$@" && build_make "$1" --silent install DESTDIR="$build/$1/pg"
}

# start_cluster NAME [VARIABLE=VALUE...]: variables for the server's environment. CLUSTER_SETTINGS has more lines for its configuration.
start_cluster() {
	local name=$1 deadline

	PATH=$(private_path "$name" --bindir):$PATH
	export PATH PGHOST=$sockets/$name PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
	rm -rf "${build:?}/$name/data"
	mkdir "$PGHOST"
	initdb --no-sync --no-locale --encoding=UTF8 --auth=trust --username=postgres "$build/$name/data" >"$build/$name/initdb.log" ||
		die "initdb failed, see $build/$name/initdb.log"
	cat >>"$build/$name/data/postgresql.conf" <<-EOF
		listen_addresses = ''
		unix_socket_directories = '$PGHOST'
		fsync = off
		shared_preload_libraries = 'mtl_rank'
		log_line_prefix = '%m [%p] %q%d '
		${CLUSTER_SETTINGS:-}
	EOF
	# Not pg_ctl: a direct child is sent a signal by the kernel when this shell is killed in a way that it cannot catch.
	setpriv --pdeathsig INT env "${@:2}" postgres -D "$build/$name/data" >"$build/$name/server.log" 2>&1 </dev/null &
	deadline=$((SECONDS + 60))
	until pg_isready --quiet; do
		if [ $SECONDS -ge $deadline ] || ! kill -0 $! 2>/dev/null; then
			die "the server did not start, see $build/$name/server.log"
		fi
		sleep 0.1
	done
}

# stop_cluster DATA-FOLDER
stop_cluster() {
	pg_ctl stop --silent --pgdata="$1" --mode=fast --timeout=30 ||
		pg_ctl stop --silent --pgdata="$1" --mode=immediate
}

# All servers under build/, also those that an interrupted test has started.
stop_everything() {
	local pid_file

	trap '' INT TERM HUP
	if [ -n "$job" ] && kill -TERM -- "-$job" 2>/dev/null; then
		wait "$job" 2>/dev/null || true
	fi
	find "$build" -name postmaster.pid -print0 |
		while IFS= read -r -d '' pid_file; do
			stop_cluster "$(dirname "$pid_file")" || true
		done
	rm -rf "$sockets"
}

trap stop_everything EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
