#!/usr/bin/python3
"""What a server's log says of sqlsmith's statements: how many plans of those that auto_explain shows have our node, and our errors by
message. Fails for internal errors of ours.

usage: report.py SOURCES LOG

The log is verbose (log_error_verbosity), which tells the file that an error comes from.
"""

import collections
import pathlib
import re
import sys


def main():
    # files of the server have the same names
    ours_in = {path.name: path.read_text() for path in pathlib.Path(sys.argv[1]).rglob("*.[ch]")}
    ours, others = collections.Counter(), collections.Counter()
    plans = batched = 0
    error = None
    with open(sys.argv[2], errors="replace") as log:
        for line in log:
            plans += "LOG:  00000: duration:" in line and "plan:" in line
            batched += "Custom Scan (MtlScore)" in line
            found = re.search(r"(?:ERROR|FATAL|PANIC):  (\w{5}): (.*)", line)
            if found:
                error = found.groups()
            found = re.search(r"LOCATION:  (\w+), ([\w./]+):\d+", line)
            if found and error:
                state, message = error
                error = None
                message = re.sub(r'"(?:[^"]|"")*"|-?\d[\d.e+-]*', lambda match: '"..."' if match[0][0] == '"' else "N", message)
                function, file = found[1], pathlib.PurePath(found[2]).name
                if re.search(rf"^{function}\(", ours_in.get(file, ""), re.M):
                    ours[state, message, file] += 1
                elif state.startswith("XX"):
                    others[state, message, file] += 1
    print(f"{batched} MtlScore nodes in {plans} plans")
    for title, counts in (("our errors", ours), ("internal errors of others", others)):
        print(f"{title}: {counts.total()}")
        for (state, message, file), number in sorted(counts.items(), key=lambda item: -item[1]):
            print(f"{number:8} {state} {message} ({file})")
    if not ours or not batched:
        sys.exit("not one error of ours, or plan: was log_error_verbosity verbose, and auto_explain there?")
    if any(state.startswith("XX") for state, _, _ in ours):
        sys.exit("an internal error of ours")


if __name__ == "__main__":
    main()
