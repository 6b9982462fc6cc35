#!/usr/bin/env python3
"""Run the commands that a page shows and compare what they print.

    doc_commands.py PAGE.md

Blocks that begin with ```console are run by one bash, in order, with the
caller's environment: lines that begin with "$ " are commands, the lines after
one are what it prints, where "..." stands for anything. Says each difference
and exits 1 if there is any.
"""
import pathlib
import re
import subprocess
import sys

MARK = "\x01end of output\x01"


def steps(text):
    """(command, expected output) of every console block."""
    for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
        command, expected = None, []
        for line in block.splitlines():
            if line.startswith("$ "):
                if command is not None:
                    yield command, expected
                command, expected = line[2:], []
            else:
                expected.append(line)
        if command is not None:
            yield command, expected


def matches(expected, got):
    pattern = ".*".join(re.escape(part)
                        for part in "\n".join(expected).split("..."))
    return re.fullmatch(pattern, got, re.S) is not None


def main():
    shell = subprocess.Popen(["bash"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True)
    failed = count = 0
    for command, expected in steps(pathlib.Path(sys.argv[1]).read_text()):
        shell.stdin.write(f"{command}\nprintf '\\n%s\\n' '{MARK}'\n")
        shell.stdin.flush()
        got = []
        for line in shell.stdout:
            if line.rstrip("\n") == MARK:
                break
            got.append(line)
        output = "".join(got).strip("\n")
        count += 1
        if not matches(expected, output):
            failed += 1
            print(f"$ {command}\nwanted: " + "\n".join(expected) +
                  f"\ngot:    {output}")
    shell.stdin.close()
    shell.wait()
    print(f"{count} commands, {failed} differ")
    return 1 if failed or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
