#!/usr/bin/env python3
"""Four well-known recipes for character-level LSTMs, in Keras and as presets of charlet, side by side on this machine.

    cargo build --release
    pip install tensorflow-cpu
    python tests/bench/versus_recipes.py --text shakespeare.txt --alice alice.txt --names names.txt --json recipes.json

It trains one after the other, on the same split and for the same time, and prints the held-out loss of each as a
Markdown table. A preset is used as it is. The recipes, whose numbers are in recipes/known.py:

  guide    one-hot vectors, 2 x 512, dropout; shuffled windows of 20, 3 apart, predict the next character; RMSprop
  alice    characters' numbers over their count, 3 x 700, dropout; shuffled windows of 100, 1 apart, likewise; Adam
  quijote  one-hot vectors, 1 x 500; the text in order, one window of 100 at a time, h and c carried; Adam
  names    one-hot vectors, 1 x 128; windows of 40, 3 apart, in a joined list of names; RMSprop at a high rate

What is measured: nats per held-out character. Of a text the last tenth is held out, of a list a random tenth of its
lines, shuffled for both: in a sorted list Keras, whose windows see the lines before, would learn the order instead of
the names. The alphabet is that of the whole file. A recipe with windows predicts each held-out character
from the full window before it; where all of them take longer than --eval-seconds, an even choice of them, whose
standard error is shown. The recipe with a state is read to the end of the learnt text first. charlet's loss is of the
whole held-out part, by `charlet eval`, from a state of zero; for a list both count the end of each line.

The time: Keras' is that of its training steps only. The first step, which compiles the graph, evaluations and the
making of batches are not counted. charlet's is that of the whole command, with its evaluations, samples and
checkpoints, until it is told to stop. Both end the step they are in, and the table tells how long they took then. For
names Keras trains until 10 epochs bring nothing lower, or the time is over, and charlet gets the same seconds. Both
sides choose their best moment on the held-out part: Keras at every epoch's end and after every quarter of the time,
charlet at every epoch's end and, through a model of 8 bits, at the last moment. So what is favourable to Keras: what is
not timed, the context before the held-out part, and for most recipes a checkpoint chosen on it, where they take the
last or that of the lowest training loss. To charlet: it measures short epochs more often, so that it has more to choose
from.

The results are kept in the file --json as they come: run it again and what it has is not measured again. A side that
fails is left out, and measured when it is run again. Where Keras is killed, for want of memory or since it takes many
times its time, its best moment until then counts.
"""

import argparse
import hashlib
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import threading
from collections import namedtuple
from pathlib import Path

from recipes.in_charlet import Charlet, Failed, last_line
from recipes.known import RECIPES

IN_KERAS = Path(__file__).parent / "recipes" / "in_keras.py"
# The files' names in the folder --data.
FILES = {"text": "tinyshakespeare.txt", "alice": "alice.txt", "names": "names-female.txt"}
HELD_OUT = 0.1
PATIENCE = 10
# Times its training time, and then seconds, that Keras may take, with all that is not counted.
SLACK = 4, 1800
MOMENT = "{seconds:9.0f} s  {updates:6} updates  {epochs:6.2f} epochs  {nats:.4f} nats/char"

# The files of a split, how many lines are held out of a list, and a hash of it all.
Data = namedtuple("Data", ["train", "held_out", "lines", "digest"])


def say(text):
    print(text, file=sys.stderr, flush=True)


def write_whole(path, text):
    """Replaces a file in one step, so that a cut leaves the old one."""
    new = path.with_name(path.name + ".new")
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def split(recipe, name, path, folder):
    """Writes what is learnt and what is held out, cleaned as charlet does."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        sys.exit(f"{path} is not UTF-8 from byte offset {error.start} on: convert it first")
    text = text.lower() if recipe.lowercase else text
    lines = [line for line in text.split("\n") if line]
    if recipe.lines:
        random.Random(1).shuffle(lines)
        kept = len(lines) - round(len(lines) * HELD_OUT)
        parts = ["".join(f"{line}\n" for line in part) for part in (lines[:kept], lines[kept:])]
        count = len(lines) - kept
    else:
        kept = len(text) - round(len(text) * HELD_OUT)
        parts, count = [text[:kept], text[kept:]], None
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    data = Data(folder / f"{name}.txt", folder / f"{name}-held-out.txt", count, digest)
    for part, file in zip(parts, data):
        file.write_text(part, encoding="utf-8", newline="\n")
    return data


def in_keras(recipe, name, data, folder, args):
    """The best moment of a training in Keras; of one that was cut off, what it had reached."""
    command = [sys.executable, IN_KERAS, name, "--train", data.train, "--held-out", data.held_out]
    command += ["--seconds", args.minutes * 60, "--eval-seconds", args.eval_seconds, "--threads", args.threads]
    command += ["--patience", PATIENCE] if recipe.lines else []
    log = folder / f"{name}-keras.log"
    moments, factor, more = [], *SLACK
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=errors, text=True)
        timer = threading.Timer(args.minutes * 60 * factor + more, process.kill)
        timer.start()
        try:
            for line in process.stdout:
                moments.append(json.loads(line))
                say(MOMENT.format(**moments[-1]))
            status = process.wait()
        finally:
            timer.cancel()
            process.kill()
    # What the log ends with is of use only if Keras itself gave up.
    ended = f"killed by signal {-status} (out of memory, or out of time)" if status < 0 else last_line(log)
    if "No module named" in ended:
        ended += ". To get it: pip install tensorflow-cpu"
    usable = [moment for moment in moments if math.isfinite(moment["nats"])]
    if not usable:
        raise Failed(f"Keras: {ended if status else 'its loss is no number'}")
    best = min(usable, key=lambda moment: moment["nats"])
    return best | {"trained_for": moments[-1]["seconds"], "cut_off": ended if status else None, "moments": moments}


def measured(side, measure):
    """What a side reached, or why it didn't."""
    try:
        return measure()
    except (Failed, OSError, ValueError, subprocess.TimeoutExpired) as error:
        say(f"{side} is left out: {error}")
        return {"failed": str(error)}


def run(name, results, folder, args, keep):
    """Measures both sides of a recipe, as far as they are not yet."""
    recipe = RECIPES[name]
    data = split(recipe, name, args.files[recipe.data], folder)
    sides = results.setdefault(name, {"lines": data.lines, "data": data.digest})
    if sides["data"] != data.digest:
        sys.exit(f"{name} was measured on other data than {args.files[recipe.data]}: name another file with --json")

    if recipe.lines and "nats" not in sides.get("keras", {}):
        # It was measured for a time that Keras didn't set.
        sides.pop("charlet", None)

    def side(which, measure):
        if "nats" in sides.get(which, {}):
            say(f"{name}: {which} is measured already")
            return
        say(f"{name}: {which}, for {args.minutes:g} minutes at most")
        sides[which] = measured(which, measure)
        keep()
        if "nats" in sides[which]:
            say(f"{name}: {which} reached {sides[which]['nats']:.4f} nats/char")

    side("keras", lambda: in_keras(recipe, name, data, folder, args))
    limit = args.minutes * 60
    if recipe.lines:
        limit = min(limit, sides["keras"].get("trained_for", limit))
    side("charlet", lambda: args.command.measure(recipe, data, name, folder, limit))


def cell(side, lines):
    """A side's loss, with how it came to it."""
    if "failed" in side:
        return "not measured"
    loss = f"{side['nats']:.3f}"
    if side["chars"] < side.get("of", 0):
        loss += f" ± {side['error']:.3f}"
    loss += " nats/char"
    if lines:
        chars = side.get("of", side["chars"])
        loss += f" = {side['nats'] * chars / lines / math.log(2):.2f} bits/name"
    how = f"{side.get('which', 'best moment')}: {side['epochs']:.3g} epochs"
    how += f", {side['seconds']:.0f} of {side['trained_for']:.0f} s"
    return f"{loss} ({how}{', then cut off' if side.get('cut_off') else ''})"


def table(report):
    """All that was measured, in Markdown, and where presets depart."""
    rows = ["| recipe | Keras | charlet | charlet's loss less Keras' |", "| --- | --- | --- | --- |"]
    notes = []
    for name, sides in report["recipes"].items():
        keras, charlet = (sides.get(side, {"failed": "not yet"}) for side in ("keras", "charlet"))
        both = "nats" in keras and "nats" in charlet
        less = f"{charlet['nats'] - keras['nats']:+.3f}" if both else ""
        cells = [name, cell(keras, sides["lines"]), cell(charlet, sides["lines"]), less]
        rows.append(f"| {' | '.join(cells)} |")
        notes += [f"- {name}: {departure}" for departure in charlet.get("departures", [])]
        notes += [f"- {name}: {side['failed']}" for side in (keras, charlet) if "failed" in side]
        notes += [f"- {name}: Keras was cut off: {keras['cut_off']}"] if keras.get("cut_off") else []
    return "\n".join([*rows, "", "Departures of the presets, and what is missing:", "", *notes])


def load(path, settings):
    """What an earlier run of the same settings has measured."""
    if path is None or not path.exists():
        return {"settings": settings, "recipes": {}}
    report = json.loads(path.read_text(encoding="utf-8"))
    if report.get("settings") != settings:
        sys.exit(f"{path} was measured with other settings, {report.get('settings')}: name another file with --json")
    return report


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--charlet", default="target/release/charlet", help="the command to measure")
    parser.add_argument("--text", type=Path, help="a text for guide and quijote")
    parser.add_argument("--alice", type=Path, help="a text for alice")
    parser.add_argument("--names", type=Path, help="a list for names")
    parser.add_argument("--data", type=Path, help=f"a folder with {', '.join(FILES.values())}")
    parser.add_argument("--only", help="recipes, with commas between them", default=",".join(RECIPES))
    parser.add_argument("--minutes", type=float, default=10.0, help="of training, for each side of each recipe")
    parser.add_argument("--eval-seconds", type=float, default=120.0, help="each time Keras' loss is measured")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="where results are kept")
    parser.add_argument("--work", type=Path, help="where splits, models and logs are left [default: nowhere]")
    args = parser.parse_args()
    args.only = args.only.split(",")
    for name in args.only:
        if name not in RECIPES:
            parser.error(f"no recipe is called {name!r}: there are {', '.join(RECIPES)}")
    args.files = {key: getattr(args, key) or (args.data and args.data / file) for key, file in FILES.items()}
    for name in [name for name in args.only if args.files[RECIPES[name].data] is None]:
        say(f"{name} is left out: name its file with --{RECIPES[name].data}, or a folder with --data")
        args.only.remove(name)
    if not args.only:
        parser.error("there is nothing to measure")
    for path in {args.files[RECIPES[name].data] for name in args.only}:
        if not path.is_file():
            parser.error(f"{path} is missing")
    if not Path(args.charlet).is_file():
        parser.error(f"{args.charlet} is missing: build it with cargo build --release")
    args.command = Charlet(args.charlet, args.threads)
    return args


def main():
    args = arguments()
    report = load(args.json, {"minutes": args.minutes, "threads": args.threads})

    def keep():
        if args.json:
            write_whole(args.json, json.dumps(report, indent=1) + "\n")

    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.work or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        for name in args.only:
            run(name, report["recipes"], folder, args, keep)
    print(table(report))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; what was measured is in the file --json, if one was named")
