#!/usr/bin/env python3
"""Training of the same network in PyTorch and in charlet, side by side on this machine.

    cargo build --release
    pip install torch --index-url https://download.pytorch.org/whl/cpu
    python tests/bench/versus_torch.py --charlet target/release/charlet

A training step is a batch of random characters, all of the same length, through an embedding of 32
values, stacked LSTM layers and a linear head to the mean cross-entropy, back to every weight's gradient,
its norm clipped to 1, and an update by AdamW; all in single precision on the same number of threads.
PyTorch gets `nn.LSTM`, and `fused=True` where its optimizer has it.

With `--device cuda` both train on the first GPU, where PyTorch's `nn.LSTM` is cuDNN's; it needs PyTorch with
CUDA, and charlet built with `--features cuda`. Neither rounds to TF32.

Keras is measured too with `--keras`, if it is installed: `fit`'s own step, with the backend that is
configured.

Rounds alternate between all of them, and every figure is the median of its rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

# Tokens, hidden units, layers, lines in a batch, characters in a line.
SHAPES = {
    "names": (56, 128, 1, 128, 10),
    "small": (65, 128, 2, 50, 50),
    "guide": (60, 512, 2, 128, 20),
    "alice": (42, 700, 3, 128, 100),
}
EMBEDDING = 32


def rate(step, chars, seconds):
    """Characters per second at the median of at least two steps, as charlet counts, after one to warm up."""
    step()
    start, times = time.perf_counter(), []
    while len(times) < 2 or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        step()
        times.append(time.perf_counter() - before)
    return chars / statistics.median(times)


def torch_step(shape, args):
    """A training step in PyTorch."""
    import torch
    from torch import nn

    torch.set_num_threads(args.threads)
    # cuDNN would use it if it weren't told.
    torch.backends.cudnn.allow_tf32 = False
    vocab, hidden, layers, batch, window = shape

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(vocab, EMBEDDING)
            self.lstm = nn.LSTM(EMBEDDING, hidden, layers)
            self.head = nn.Linear(hidden, vocab)

        def forward(self, tokens):
            return self.head(self.lstm(self.embedding(tokens))[0])

    torch.manual_seed(1)
    network = Network().to(args.device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.003, weight_decay=0.01, fused=True)
    inputs, targets = torch.randint(vocab, (2, window, batch), device=args.device)

    def step():
        optimizer.zero_grad()
        logits = network(inputs)
        nn.functional.cross_entropy(logits.view(-1, vocab), targets.view(-1)).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if args.device == "cuda":
            torch.cuda.synchronize()

    return step


def keras_step(shape, args):
    """A training step in Keras."""
    import keras
    import numpy as np

    if keras.backend.backend() == "tensorflow":
        import tensorflow

        if tensorflow.config.threading.get_intra_op_parallelism_threads() == 0:
            tensorflow.config.threading.set_intra_op_parallelism_threads(args.threads)
    vocab, hidden, layers, batch, window = shape
    lstm = [keras.layers.LSTM(hidden, return_sequences=True) for _ in range(layers)]
    network = keras.Sequential([keras.layers.Embedding(vocab, EMBEDDING), *lstm, keras.layers.Dense(vocab)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.AdamW(0.003, weight_decay=0.01, global_clipnorm=1.0), loss)
    inputs, targets = np.random.default_rng(1).integers(0, vocab, (2, batch, window))
    return lambda: network.train_on_batch(inputs, targets)


def charlet_measurement(shape, args):
    """What `charlet bench train` says of a shape."""
    command = [args.charlet, "bench", "train", "--json", "--device", args.device]
    command += ["--shape", ",".join(map(str, shape)), "--seconds", str(args.seconds)]
    environment = os.environ | {"RAYON_NUM_THREADS": str(args.threads)}
    output = subprocess.run(command, check=True, capture_output=True, env=environment).stdout
    return json.loads(output)["results"][0]


def measure(shape, others, args):
    """Medians of characters per second by who reached them, and charlet's last measurement."""
    *_, batch, window = shape
    steps = {name: make(shape, args) for name, make in others.items()}
    rates = {}
    for _ in range(args.rounds):
        for name, step in steps.items():
            rates.setdefault(name, []).append(rate(step, batch * window, args.seconds))
        last = charlet_measurement(shape, args)
        rates.setdefault("charlet", []).append(last["chars_per_second"])
    return {name: statistics.median(all_) for name, all_ in rates.items()}, last


def others(with_keras):
    """The makers of steps that can be measured here."""
    import torch

    makers = {f"PyTorch {torch.__version__}": torch_step}
    if with_keras:
        try:
            import keras

            makers[f"Keras {keras.__version__} {keras.backend.backend()}"] = keras_step
        except ImportError as error:
            print(f"Keras is left out: {error}", file=sys.stderr)
    return makers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--charlet", default="target/release/charlet", help="the command to measure")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES), help="what to measure")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where to train; Keras decides itself")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each of them in each round")
    parser.add_argument("--keras", action="store_true", help="measure Keras too")
    parser.add_argument("--json", action="store_true", help="print JSON, in characters per second")
    args = parser.parse_args()
    makers = others(args.keras)
    report = {"device": args.device, "threads": args.threads, "rounds": args.rounds, "shapes": {}}
    if not args.json:
        print(f"medians of {args.rounds} rounds, {args.device}, {args.threads} threads, characters per second")
        print(f"{'':6}{'':28}{'theirs':>10}{'charlet':>10}  {'ratio':>6}  {'of matmul':>9}  {'memory':>8}")
    for name in args.shapes:
        rates, last = measure(SHAPES[name], makers, args)
        ratios = {other: rates["charlet"] / rates[other] for other in makers}
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
