#!/usr/bin/env python3
"""Runs what `charlet export` writes in ONNX Runtime and in PyTorch, beside charlet, for 1,000 steps.

    cargo build --release
    cargo build --release -p charlet --features f32 --example steps
    pip install onnx onnxruntime torch safetensors numpy
    python tests/bench/check_export.py

Networks: models/names, and runs of an epoch with 1, 2 and 3 layers, of lines and of running text, each as a
checkpoint (with its embedding) and as a model (one-hot). The text is the model's own; every line starts
with h and c of zero. Logits, h and c of every step must be within the bound of tests/support/tolerance.rs. Each network
runs step by step with the state handed on, then the last line, or all of the text, in one call; ONNX Runtime
with three of it side by side. Of integer models the differences are shown only: other programs compute without their roundings.
"""

import argparse
import json
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

ROOT = Path(__file__).resolve().parents[2]
BATCH = 3


def bound():
    """The absolute and the relative tolerance."""
    table = (ROOT / "tests/support/tolerance.rs").read_text()
    return [float(part) for part in re.search(r"const BETWEEN_PROGRAMS: .*new\((.*), (.*)\)", table).groups()]


class Charlet:
    def __init__(self, args):
        self.command, self.example = Path(args.charlet).resolve(), Path(args.example).resolve()

    def run(self, *arguments):
        command = [self.command, *map(str, arguments)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def tokens(self, model, info, count):
        """A text of the model's own, from the token that it starts with."""
        ask = ["-n", count // 4] if info["ends_lines"] else ["--length", count]
        text = self.run("generate", model, *ask, "--seed", 1)
        place = {char: at for at, char in enumerate(info["chars"])}
        # Marks come after the characters; the one that ends a line comes first.
        end = len(place)
        start = end if info["ends_lines"] else place["\n"]
        return [start, *(place.get(char, end) for char in text)][:count]

    def steps(self, model, tokens):
        """logits [steps, vocab], h and c [steps, layers * hidden]."""
        lines = subprocess.run(
            [self.example, model], input=" ".join(map(str, tokens)), check=True, capture_output=True, text=True
        ).stdout.splitlines()
        steps = [json.loads(line) for line in lines]
        return {name: np.array([step[name] for step in steps], np.float32) for name in ("logits", "h", "c")}


def in_onnx(path, tokens, starts):
    """The same in ONNX Runtime: step by step, and what follows the last start at once."""
    onnx.checker.check_model(onnx.load(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    layers, _, hidden = next(one.shape for one in session.get_inputs() if one.name == "h")
    zeros = np.zeros((layers, 1, hidden), np.float32)
    h, c, steps = zeros, zeros, {"logits": [], "h": [], "c": []}
    for at, token in enumerate(tokens):
        h, c = (zeros, zeros) if at in starts else (h, c)
        logits, h, c = session.run(["logits", "h_out", "c_out"], {"token": [[token]], "h": h, "c": c})
        for name, value in (("logits", logits), ("h", h), ("c", c)):
            steps[name].append(value.reshape(-1))
    side_by_side = np.tile(np.array(tokens[starts[-1]:])[:, None], (1, BATCH))
    zeros = np.zeros((layers, BATCH, hidden), np.float32)
    logits, h, c = session.run(["logits", "h_out", "c_out"], {"token": side_by_side, "h": zeros, "c": zeros})
    steps = {name: np.array(values) for name, values in steps.items()}
    whole = {"logits": logits, "h": np.moveaxis(h, 1, 0), "c": np.moveaxis(c, 1, 0)}
    return steps, [{name: of_text(name, value, text) for name, value in whole.items()} for text in range(BATCH)]


def of_text(name, value, text):
    return value[:, text] if name == "logits" else value[text].reshape(1, -1)


def in_pytorch(program, tokens, starts):
    """The same in PyTorch, with the module that the command printed."""
    names = {}
    exec(program, names)
    model, state = names["model"].eval(), None
    steps = {"logits": [], "h": [], "c": []}
    with torch.no_grad():
        for at, token in enumerate(tokens):
            state = None if at in starts else state
            logits, state = model(torch.tensor([[token]]), state)
            for name, value in (("logits", logits), ("h", state[0]), ("c", state[1])):
                steps[name].append(value.reshape(-1).numpy())
        logits, (h, c) = model(torch.tensor(tokens[starts[-1]:])[:, None])
    whole = {"logits": logits[:, 0].numpy(), "h": h.reshape(1, -1).numpy(), "c": c.reshape(1, -1).numpy()}
    return {name: np.array(values) for name, values in steps.items()}, [whole]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--charlet", default="target/release/charlet", help="the command")
    parser.add_argument("--example", default="target/release/examples/steps", help="the example that prints steps")
    parser.add_argument("--steps", type=int, default=1000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    charlet, (absolute, relative) = Charlet(args), bound()
    print(f"ONNX Runtime {onnxruntime.__version__}, PyTorch {torch.__version__}, {args.steps} steps")
    print(f"largest difference from charlet; {absolute:g} and {relative:g} of the value are allowed")
    print(f"{'network':36}{'in':9}{'logits':>10}{'h':>10}{'c':>10}")
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        models = ROOT / "models"
        names = models / "names"
        # What is exported, and the model that runs beside it.
        cases = {"names": (names / "names.charlet", names / "names.charlet")}
        text = folder / "text.txt"
        text.write_text("It was a bright cold day in April, and the clocks were striking thirteen.\n" * 400)
        for layers, hidden, data in ((1, 128, None), (2, 100, text), (3, 33, None)):
            run = folder / f"run{layers}"
            charlet.run(
                "train", *([data, "--mode", "text"] if data else []), "--layers", layers, "--hidden", hidden,
                "--epochs", 1, "--seed", 1, "--out", run,
            )
            model = next(run.glob("*.charlet"))
            name = f"{layers} x {hidden}, {'text' if data else 'lines'}"
            cases[f"{name}, checkpoint"] = (run / "best.safetensors", model)
            cases[f"{name}, model"] = (model, model)
        for model in (names / "names-i8.charlet", names / "names-i4.charlet", *models.glob("shakespeare*/*.charlet")):
            cases[model.stem] = (model, model)
        for case, (source, model) in cases.items():
            info = json.loads(charlet.run("info", model, "--json"))
            tokens = charlet.tokens(model, info, args.steps)
            starts = [at for at, token in enumerate(tokens) if token == tokens[0] and info["ends_lines"] or at == 0]
            expected = charlet.steps(model, tokens)
            onnx_file, state_dict = folder / "network.onnx", folder / "network.safetensors"
            charlet.run("export", source, "--to", "onnx", "-o", onnx_file)
            printed = charlet.run("export", source, "--to", "pytorch", "-o", state_dict)
            program = printed.split("\n\n", 1)[1]
            results = {"onnx": in_onnx(onnx_file, tokens, starts), "pytorch": in_pytorch(program, tokens, starts)}
            for framework, (steps, wholes) in results.items():
                largest, is_within = {}, True
                for name, values in expected.items():
                    pairs = [(steps[name], values)]
                    # All at once, only the last state is known.
                    pairs += [(whole[name], values[-len(whole[name]):]) for whole in wholes]
                    for actual, value in pairs:
                        assert actual.shape == value.shape, (framework, name, actual.shape, value.shape)
                        difference = np.abs(actual - value)
                        largest[name] = max(largest.get(name, 0.0), float(difference.max()))
                        is_within &= bool((difference <= absolute + relative * np.abs(value)).all())
                is_bound = info["precision"] == "f32"
                verdict = "" if is_within or not is_bound else "  too much"
                failed |= bool(verdict)
                shown = "".join(f"{largest[name]:10.1e}" for name in ("logits", "h", "c"))
                print(f"{case:36}{framework:9}{shown}{verdict}", flush=True)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
