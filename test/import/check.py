#!/usr/bin/python3
"""Checks the importers against what the training libraries computed. The libraries themselves are not needed.

usage: check.py [CASE ...]

For every case: the export of the checkpoint is the model file that is stored with it, byte for byte, and the server that
psql connects to (PGHOST, PGDATABASE, ...; as a superuser) finds the library's score for every example. For every quirk
in quirks.py: a model that does not honour it is refused. $PSQL names another psql.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile

import cases
import quirks

VERIFY = r"""
\set ON_ERROR_STOP on
\set VERBOSITY terse
SELECT count(*), coalesce(max(abs(difference)), 0) FROM mtl_verify(pg_read_binary_file(:'path')::mtl_model);
"""

MOVED = "of the model moved"


def verify(path):
    """(number of scores, largest difference) or the server's error."""
    command = [*shlex.split(os.environ.get("PSQL", "psql")), "--no-psqlrc", "--no-align", "--tuples-only", "--quiet", f"--set=path={path}"]
    result = subprocess.run(command, input=VERIFY, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        return None, result.stderr.strip()
    count, difference = result.stdout.split("|")
    return (int(count), float(difference)), ""


def check_export(name, stored, exported):
    result = cases.export(name, exported)
    if result.returncode != 0:
        return f"the export failed: {result.stderr.strip()}"
    with open(stored, "rb") as expected, open(exported, "rb") as made:
        return "" if made.read() == expected.read() else "the export is not the stored model file"


def check_case(name, work):
    """What is wrong with a case, or nothing."""
    path = os.path.join(work, "case.safetensors")
    with cases.unpacked(name, "model.safetensors") as stored:
        shutil.copyfile(stored, path)
    if cases.has_checkpoint(name):
        problem = check_export(name, path, os.path.join(work, "exported.safetensors"))
        if problem:
            return problem
    found, error = verify(path)
    if found is None:
        return error
    if found[0] == 0:
        return "no example was replayed"
    print(f"{name}: {found[0]} scores, largest difference {found[1]:.1e}")
    return ""


def check_quirk(quirk, work):
    path = os.path.join(work, "quirk.safetensors")
    with cases.unpacked(quirk.case, "model.safetensors") as stored, cases.unpacked(quirk.case, "checkpoint.") as checkpoint:
        quirk.write_without(stored, checkpoint, path)
    _, error = verify(path)
    if MOVED not in error:
        return f"a model that does not honour it passes: {error or 'no score moved'}"
    print(f"{quirk.case}, not honoured: {quirk.name}: {error.split('ERROR:')[-1].strip()}")
    return ""


def main():
    chosen = sys.argv[1:] or cases.names()
    failures = []
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o755)        # the server may be another user
        for name in chosen:
            failures.append((name, check_case(name, work)))
        for quirk in quirks.ALL:
            if quirk.case in chosen:
                failures.append((f"{quirk.case}: {quirk.name}", check_quirk(quirk, work)))
    if not sys.argv[1:]:
        failures.append(("quirks", quirks.uncovered()))

    failed = [(name, problem) for name, problem in failures if problem]
    for name, problem in failed:
        print(f"FAILED {name}: {problem}")
    print(f"{len(failures) - len(failed)} of {len(failures)} import checks passed")
    sys.exit(1 if failed or not chosen else 0)


if __name__ == "__main__":
    main()
