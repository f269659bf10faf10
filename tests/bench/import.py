#!/usr/bin/env python3
"""Train networks in PyTorch and Keras, import them, and compare them with charlet.

    pip install torch safetensors numpy keras h5py onnx onnxscript tensorflow-cpu tf2onnx
    python3 tests/bench/import.py [--seconds 60] [--charlet target/release/charlet] [NAME ...]

Each network learns the bundled names in its own framework for so many seconds of a processor, and is saved as its users
save it. Then

- h, c and logits of 1,000 steps are computed by the framework in float64, and compared with the runtime's by the test
  `every_step_of_trained_networks_is_as_in_the_other_program`, within the bounds of tests/support/tolerance.rs;
- `charlet import --to i8 --check` measures what 8 bits cost on what was learnt: at most 0.005 nats/char.

Beside state dicts there are ONNX files of both of PyTorch's exporters, and both formats of Keras with the ONNX file that
Keras exports through tf2onnx.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# With PyTorch, Keras exports its LSTM to ONNX written out step by step.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# Who else computes at the same time takes nothing from the training then.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
NAMES = ROOT / "trainer/data/names.txt"
TEXT = NAMES.read_text(encoding="utf-8")
CHARS = sorted(set(TEXT))
TOKENS = np.array([CHARS.index(char) for char in TEXT])
STEPS = 1000
WINDOW, BATCH, HIDDEN, EMBEDDING = 64, 32, 128, 16
MAX_COST = 0.005


def batches(seconds):
    """Random windows of the text, until the time is over."""
    random = np.random.default_rng(1)
    end = time.process_time() + seconds
    while time.process_time() < end:
        starts = random.integers(0, len(TOKENS) - WINDOW - 1, BATCH)
        window = TOKENS[starts[:, None] + np.arange(WINDOW + 1)]
        yield window[:, :-1], window[:, 1:]


class Net(nn.Module):
    """An optional embedding, nn.LSTM, and a linear layer."""

    def __init__(self, layers, embedding, bias):
        super().__init__()
        self.embedding = nn.Embedding(len(CHARS), EMBEDDING) if embedding else None
        self.lstm = nn.LSTM(EMBEDDING if embedding else len(CHARS), HIDDEN, layers, bias=bias, batch_first=True)
        self.fc = nn.Linear(HIDDEN, len(CHARS), bias=bias)

    def forward(self, tokens, state=None):
        if self.embedding is not None:
            x = self.embedding(tokens)
        else:
            x = nn.functional.one_hot(tokens, len(CHARS)).to(self.fc.weight.dtype)
        y, state = self.lstm(x, state)
        return self.fc(y), state


class Logits(nn.Module):
    """A network without its state, as it is exported."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, tokens):
        return self.net(tokens)[0]


def trained(seconds, *shape):
    torch.manual_seed(1)
    net = Net(*shape)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for inputs, targets in batches(seconds):
        optimizer.zero_grad()
        logits, _ = net(torch.from_numpy(inputs))
        nn.functional.cross_entropy(logits.transpose(1, 2), torch.from_numpy(targets)).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    return net.eval()


def expect(folder, name, h, c, logits):
    tensors = {"h": h, "c": c, "logits": logits}
    tensors = {key: np.ascontiguousarray(value, dtype=np.float32) for key, value in tensors.items()}
    tensors["tokens"] = TOKENS[:STEPS].astype(np.uint8)
    save_file(tensors, folder / "expected" / f"{name}.safetensors", metadata={"chars": "".join(CHARS)})


def torch_case(folder, seconds, name, shape, exporter=None):
    net = trained(seconds, *shape)
    path = folder / name
    if exporter is None:
        torch.save(net.state_dict(), path)
    else:
        torch.onnx.export(Logits(net).eval(), (torch.tensor([[1, 2, 3]]),), path, verbose=False,
                          dynamo=exporter == "dynamo")
    net, state, steps = net.double(), None, []
    with torch.no_grad():
        for token in TOKENS[:STEPS]:
            logits, state = net(torch.tensor([[token]]), state)
            steps.append((state[0][:, 0].numpy(), state[1][:, 0].numpy(), logits[0, 0].numpy()))
    expect(folder, name, *(np.stack(part) for part in zip(*steps)))


def keras_case(folder, seconds, names, layers, embedding):
    import keras

    keras.utils.set_random_seed(1)
    vocab = len(CHARS)
    parts = [keras.Input((None,) if embedding else (None, vocab))]
    parts += [keras.layers.Embedding(vocab, EMBEDDING)] if embedding else []
    for _ in range(layers):
        parts += [keras.layers.LSTM(HIDDEN, return_sequences=True), keras.layers.Dropout(0.1)]
    net = keras.Sequential([*parts, keras.layers.Dense(vocab, activation="softmax")])
    net.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    for inputs, targets in batches(seconds):
        net.train_on_batch(inputs if embedding else np.eye(vocab, dtype=np.float32)[inputs], targets)
    for name in names:
        if name.endswith(".onnx"):
            net.export(folder / name, format="onnx", verbose=False)
        else:
            net.save(folder / name)
    # The equations of Keras' documentation, with its weights, in float64.
    lstms = [layer for layer in net.layers if isinstance(layer, keras.layers.LSTM)]
    cells = [[np.asarray(weight, np.float64) for weight in layer.get_weights()] for layer in lstms]
    looked_up = np.asarray(net.layers[0].get_weights()[0], np.float64) if embedding else np.eye(vocab)
    kernel, bias = (np.asarray(weight, np.float64) for weight in net.layers[-1].get_weights())
    state = [(np.zeros(HIDDEN), np.zeros(HIDDEN)) for _ in cells]
    sigmoid = lambda x: 1 / (1 + np.exp(-x))
    steps = []
    for token in TOKENS[:STEPS]:
        x = looked_up[token]
        for at, (of_x, of_h, of_all) in enumerate(cells):
            h, c = state[at]
            i, f, g, o = np.split(x @ of_x + h @ of_h + of_all, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            x = sigmoid(o) * np.tanh(c)
            state[at] = (x, c)
        steps.append((np.stack([h for h, _ in state]), np.stack([c for _, c in state]), x @ kernel + bias))
    fed = TOKENS[None, :STEPS]
    own = np.asarray(net.predict(fed if embedding else np.eye(vocab, dtype=np.float32)[fed], verbose=0))[0]
    logits = np.stack([step[2] for step in steps])
    chances = np.exp(logits - logits.max(1, keepdims=True))
    assert np.abs(own - chances / chances.sum(1, keepdims=True)).max() < 1e-4, "the equations are not those of Keras"
    for name in names:
        expect(folder, name, *(np.stack(part) for part in zip(*steps)))


def cases():
    """What makes each case, by the names of its files."""
    all_cases = {}
    for layers in (1, 2, 3):
        for embedding in (False, True):
            for bias in (True, False):
                name = f"torch_{layers}_{'embedding' if embedding else 'one_hot'}{'' if bias else '_no_bias'}.pt"
                all_cases[(name,)] = lambda folder, seconds, name=name, shape=(layers, embedding, bias): torch_case(
                    folder, seconds, name, shape
                )
    for exporter, shape in (("script", (1, False, True)), ("script", (2, True, True)), ("dynamo", (2, True, True))):
        name = f"torch_{exporter}_{shape[0]}.onnx"
        all_cases[(name,)] = lambda folder, seconds, name=name, shape=shape, exporter=exporter: torch_case(
            folder, seconds, name, shape, exporter
        )
    for layers, embedding in ((1, False), (2, False), (1, True)):
        base = f"keras_{layers}{'_embedding' if embedding else ''}"
        names = (f"{base}.keras", f"{base}.h5", f"{base}.onnx")
        all_cases[names] = lambda folder, seconds, names=names, layers=layers, embedding=embedding: keras_case(
            folder, seconds, names, layers, embedding
        )
    return all_cases


def cost(charlet, folder, name):
    """What 8 bits cost, in nats per character."""
    command = [charlet, "import", folder / name, "-o", folder / f"{name}.charlet", "--to", "i8", "--chars", NAMES]
    printed = subprocess.run([*command, "--check", NAMES], check=True, capture_output=True, text=True).stdout
    loss = {line[0]: float(line[1]) for line in map(str.split, printed.splitlines()) if "nats/char," in line}
    assert abs(loss["original"] - loss["f32"]) < 2e-4, printed
    print(f"{name:32} original {loss['original']:.4f}  f32 {loss['f32']:.4f}  i8 {loss['i8']:.4f}  i4 {loss['i4']:.4f}",
          flush=True)
    return loss["i8"] - loss["f32"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="parts of the names of cases [default: all]")
    parser.add_argument("--seconds", type=float, default=60.0, help="processor time to train each [default: 60]")
    parser.add_argument("--charlet", type=Path, default=ROOT / "target/release/charlet")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="folder for the networks [default: a passing one]")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as passing:
        folder = args.keep or Path(passing)
        (folder / "expected").mkdir(parents=True, exist_ok=True)
        too_much = []
        for names, make in cases().items():
            if args.names and not any(re.search(part, name) for part in args.names for name in names):
                continue
            make(folder, args.seconds)
            too_much += [name for name in names if cost(args.charlet, folder, name) > MAX_COST]
        test = ["cargo", "test", "--locked", "-p", "charlet-trainer", "--test", "integration", "--",
                "--ignored", "every_step_of_trained_networks"]
        subprocess.run(test, check=True, cwd=ROOT, env={**os.environ, "CHARLET_IMPORTS": str(folder)})
    if too_much:
        sys.exit(f"8 bits cost more than {MAX_COST} nats/char: {', '.join(too_much)}")


if __name__ == "__main__":
    main()
