#!/usr/bin/env python3
"""Characters per second that PyTorch or Keras learns, as JSON, on RAYON_NUM_THREADS threads.

RAYON_NUM_THREADS=2 python tests/bench/frameworks/in_python.py pytorch --shape 56,128,1,128,10
"""

import argparse
import json
import os
import statistics
import time

EMBEDDING = 32


def pytorch(shape, threads, device):
    """PyTorch's name, and a training step in it."""
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    vocab, hidden, layers, batch, window = shape

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(vocab, EMBEDDING)
            self.lstm = nn.LSTM(EMBEDDING, hidden, layers)
            self.head = nn.Linear(hidden, vocab)

        def forward(self, tokens):
            return self.head(self.lstm(self.embedding(tokens))[0])

    # cuDNN would use TF32 if it weren't told.
    torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(1)
    network = Network().to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.003, weight_decay=0.01, fused=True)
    inputs, targets = torch.randint(vocab, (2, window, batch), device=device)

    def step():
        optimizer.zero_grad()
        logits = network(inputs)
        nn.functional.cross_entropy(logits.view(-1, vocab), targets.view(-1)).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return f"PyTorch {torch.__version__}", step


def keras(shape, threads, _device):
    """The name of Keras and of its backend, which chooses the device itself, and a training step in it."""
    import keras
    import numpy as np

    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    vocab, hidden, layers, batch, window = shape
    lstm = [keras.layers.LSTM(hidden, return_sequences=True) for _ in range(layers)]
    network = keras.Sequential([keras.layers.Embedding(vocab, EMBEDDING), *lstm, keras.layers.Dense(vocab)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.AdamW(0.003, weight_decay=0.01, global_clipnorm=1.0), loss)
    inputs, targets = np.random.default_rng(1).integers(0, vocab, (2, batch, window))
    name = f"Keras {keras.__version__} {keras.backend.backend()}"
    return name, lambda: network.train_on_batch(inputs, targets)


def rate(step, chars, seconds):
    """Characters per second at the median of at least two steps, as charlet counts, after one to warm up."""
    step()
    start, times = time.perf_counter(), []
    while len(times) < 2 or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        step()
        times.append(time.perf_counter() - before)
    return chars / statistics.median(times)


def sizes(text):
    vocab, hidden, layers, batch, window = map(int, text.split(","))
    return vocab, hidden, layers, batch, window


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    frameworks = {"pytorch": pytorch, "keras": keras}
    parser.add_argument("framework", choices=frameworks)
    parser.add_argument("--shape", type=sizes, required=True, metavar="VOCAB,HIDDEN,LAYERS,BATCH,WINDOW")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long to measure, or two steps")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where PyTorch trains")
    args = parser.parse_args()
    threads = int(os.environ.get("RAYON_NUM_THREADS", os.cpu_count()))
    name, step = frameworks[args.framework](args.shape, threads, args.device)
    *_, batch, window = args.shape
    print(json.dumps({"framework": name, "chars_per_second": rate(step, batch * window, args.seconds)}))


if __name__ == "__main__":
    main()
