#!/usr/bin/env python3
"""Measures `charlet score` on a long list, beside another build of it if one is given.

    python tests/bench/score_speed.py names-female.txt --charlet target/release/charlet [--before OLD]

The list's lines are repeated in random order up to 7 MB. Each build scores it in turn, several times; what counts
are the characters in a second of the fastest run, and in a second that a processor is busy: other programs take
less from the latter. The outputs must be equal.
"""

import argparse
import hashlib
import os
import random
import subprocess
import tempfile
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
MODEL = os.path.join(ROOT, "models", "names", "names-i8.charlet")


def long_list(path, size):
    """The lines of a list, again and again in another order."""
    with open(path, encoding="utf-8") as file:
        lines = [line for line in file.read().split("\n") if line.strip()]
    chosen, shuffled = [], random.Random(1)
    while size > 0:
        shuffled.shuffle(lines)
        chosen += lines
        size -= sum(len(line) + 1 for line in lines)
    return "".join(line + "\n" for line in chosen)


def measure(program, model, path, options):
    """Seconds, seconds of processors, and the hash of what is printed."""
    before, start = os.times(), time.perf_counter()
    printed = subprocess.run(
        [program, "score", model, path, *options], check=True, stdout=subprocess.PIPE
    ).stdout
    seconds, after = time.perf_counter() - start, os.times()
    busy = after.children_user + after.children_system
    busy -= before.children_user + before.children_system
    return seconds, busy, hashlib.sha256(printed).hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("list", help="a text with an entry per line")
    parser.add_argument("--charlet", default="target/release/charlet")
    parser.add_argument("--before", help="another build, to compare with")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--bytes", type=int, default=7_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="let it print JSON")
    args = parser.parse_args()
    programs = [program for program in (args.before, args.charlet) if program]
    options = ["--json"] if args.json else []
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as file:
        text = long_list(args.list, args.bytes)
        file.write(text)
        file.flush()
        runs = {program: [] for program in programs}
        for _ in range(args.rounds):
            for program in programs:
                runs[program].append(measure(program, args.model, file.name, options))
    hashes = {run[2] for of_program in runs.values() for run in of_program}
    print(f"{len(text):,} characters, {os.cpu_count()} processors")
    for program in programs:
        seconds = min(run[0] for run in runs[program])
        busy = min(run[1] for run in runs[program])
        print(
            f"{program}: {len(text) / seconds:,.0f} characters/s, "
            f"{len(text) / busy:,.0f} in a second of one processor"
        )
    if len(hashes) > 1:
        raise SystemExit("the outputs differ")


if __name__ == "__main__":
    main()
