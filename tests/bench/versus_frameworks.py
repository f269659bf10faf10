#!/usr/bin/env python3
"""Training of the same network in PyTorch, Keras, candle-nn, burn and charlet, side by side on this machine.

    cargo build --release
    pip install torch --index-url https://download.pytorch.org/whl/cpu
    pip install keras tensorflow-cpu
    (cd tests/bench/frameworks && cargo build --release)
    python tests/bench/versus_frameworks.py --charlet target/release/charlet

What isn't installed or built is left out.

A training step is a batch of random characters, all of the same length, through an embedding of 32
values, stacked LSTM layers and a linear head to the mean cross-entropy, back to every weight's gradient,
its norm clipped to 1, and an update by AdamW; all in single precision on the same number of threads.
PyTorch gets `nn.LSTM`, and `fused=True` where its optimizer has it. Keras gets `fit`'s own step, with the
backend that is configured. candle-nn gets a `candle_nn::rnn::LSTM` for every layer, and no clipping, which
it doesn't have; burn gets its `nn::Lstm` on its backend `flex`, and clips every tensor's gradient by itself.
Both are built for the very processor, and make sure that they learn before they are measured.

With `--device cuda` charlet and PyTorch train on the first GPU, where `nn.LSTM` is cuDNN's; it needs PyTorch with
CUDA and a charlet built with `--features cuda`, and neither rounds to TF32. The other rivals are left out then.

Rounds alternate between all of them, each in a process of its own, and every figure is the median of its
rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

# Tokens, hidden units, layers, lines in a batch, characters in a line.
SHAPES = {
    "names": (56, 128, 1, 128, 10),
    "small": (65, 128, 2, 50, 50),
    "guide": (60, 512, 2, 128, 20),
    "alice": (42, 700, 3, 128, 100),
}
FRAMEWORKS = Path(__file__).parent / "frameworks"
PYTHON = [sys.executable, FRAMEWORKS / "in_python.py"]
RUST = [FRAMEWORKS / "target" / "release" / "frameworks"]
CARGO = "cd tests/bench/frameworks && cargo build --release"
# The programs that train in the rivals, each in a process of its own, and how to get them.
RIVALS = {
    "pytorch": (PYTHON, "pip install torch --index-url https://download.pytorch.org/whl/cpu"),
    "keras": (PYTHON, "pip install keras tensorflow-cpu"),
    "candle-nn": (RUST, CARGO),
    "burn": (RUST, CARGO),
}


def run(command, shape, args):
    """What a program that measures training says of a shape."""
    if args.device != "cpu":
        command = [*command, "--device", args.device]
    command = [*command, "--shape", ",".join(map(str, shape)), "--seconds", str(args.seconds)]
    environment = os.environ | {"RAYON_NUM_THREADS": str(args.threads)}
    return json.loads(subprocess.run(command, check=True, capture_output=True, env=environment).stdout)


def available(args):
    """The commands of the rivals that can be measured here, by their names and versions."""
    commands = {}
    for rival in args.rivals:
        command, how = RIVALS[rival]
        try:
            commands[run([*command, rival], SHAPES["names"], args)["framework"]] = [*command, rival]
        except FileNotFoundError as error:
            print(f"{rival} is left out: {error}. To get it: {how}", file=sys.stderr)
        except subprocess.CalledProcessError as error:
            reason = error.stderr.decode().strip().splitlines()[-1]
            print(f"{rival} is left out: {reason}. To get it: {how}", file=sys.stderr)
    return commands


def measure(shape, commands, args):
    """Medians of characters per second by who reached them, and charlet's last measurement."""
    rates = {}
    for _ in range(args.rounds):
        for name, command in commands.items():
            rates.setdefault(name, []).append(run(command, shape, args)["chars_per_second"])
        last = run([args.charlet, "bench", "train", "--json"], shape, args)["results"][0]
        rates.setdefault("charlet", []).append(last["chars_per_second"])
    return {name: statistics.median(all_) for name, all_ in rates.items()}, last


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--charlet", default="target/release/charlet", help="the command to measure")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES), help="what to measure")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each of them in each round")
    parser.add_argument("--rivals", nargs="+", choices=RIVALS, default=list(RIVALS), help="whom to measure")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where charlet and PyTorch train")
    parser.add_argument("--json", action="store_true", help="print JSON, in characters per second")
    args = parser.parse_args()
    if args.device == "cuda":
        args.rivals = ["pytorch"]
    commands = available(args)
    report = {"device": args.device, "threads": args.threads, "rounds": args.rounds, "shapes": {}}
    if not args.json:
        print(f"medians of {args.rounds} rounds, {args.device}, {args.threads} threads, characters per second")
        print(f"{'':6}{'':28}{'theirs':>10}{'charlet':>10}  {'ratio':>6}  {'of matmul':>9}  {'memory':>8}")
    for name in args.shapes:
        rates, last = measure(SHAPES[name], commands, args)
        ratios = {other: rates["charlet"] / rates[other] for other in commands}
        report["shapes"][name] = {"chars_per_second": rates, "ratios": ratios, "charlet": last}
        if args.json:
            continue
        for other, ratio in ratios.items():
            memory = last["peak_bytes"]
            print(
                f"{name:6}{other:28}{rates[other]:>10.0f}{rates['charlet']:>10.0f}  {ratio:>6.2f}"
                f"  {last['share_of_matmul']:>9.0%}  {'' if memory is None else f'{memory / 1e6:.0f} MB':>8}",
                flush=True,
            )
    if args.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
