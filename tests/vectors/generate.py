#!/usr/bin/env python3
"""Make the test vectors in this folder with PyTorch.

Each case is one small network, Embedding -> LSTM (PyTorch's own `nn.LSTM`, gate
order i, f, g, o) -> Linear, with random weights, and what it computes on random
tokens. Weights are stored as F16 and are exactly representable there; results
are computed in float64 and stored as F32, so a reference is far more exact than
the float32 code it tests. README.md beside this file says what each tensor is.

How to run:

    python3 -m pip install torch safetensors numpy
    python3 tests/vectors/generate.py [FOLDER]

FOLDER is where the files go, by default the folder of this script. The output
is the same bytes each time. For every case the script prints how far a float32
run of the same network lies from the float64 one, as a guide for tolerances.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import numpy as safetensors
from torch import nn

MAX_TOTAL_BYTES = 1_200_000

# Lengths of the lines in a batch: one fills the batch, one has a single token.
BATCH_LENGTHS = (9, 1, 4, 7, 2)


@dataclass(frozen=True)
class Case:
    """The shape of a case and the ranges its random numbers are drawn from."""

    name: str
    seed: int
    hidden: int
    layers: int
    embed: int
    vocab: int
    steps: int
    zero_start: bool = False
    weight_scale: float = 1.5  # LSTM and head weights: +-scale / sqrt(hidden)
    recurrent: float = 1.0  # times that for weight_hh
    bias_scale: float = 0.5
    forget_bias: float = 1.0  # added to the bias of the forget gate
    input_bias: float = 0.0  # added to the bias of the input gate
    start_h: float = 0.9
    start_c: float = 2.0
    keep_every: int = 1  # more than 1: keep only each such step, and sums


SEQUENCE_CASES = (
    Case("h1_l1", 1, hidden=1, layers=1, embed=3, vocab=5, steps=20, zero_start=True),
    Case("h7_l2", 2, hidden=7, layers=2, embed=5, vocab=11, steps=20),
    Case("h13_l3", 3, hidden=13, layers=3, embed=6, vocab=17, steps=40),
    Case("h32_l2_one_step", 4, hidden=32, layers=2, embed=16, vocab=28, steps=1),
    Case("h100_l1", 5, hidden=100, layers=1, embed=24, vocab=30, steps=24),
    Case("h128_l2", 6, hidden=128, layers=2, embed=16, vocab=28, steps=10, zero_start=True),
    # Biases reach +-30 and the forget gate is mostly fully open, so c grows.
    # Smaller recurrent weights keep it from being chaotic: otherwise any rounding
    # error grows from step to step, and no float32 code could match float64. The
    # seed is one of those with the largest growth of c.
    Case("saturated", 203, hidden=13, layers=2, embed=6, vocab=17, steps=40,
         weight_scale=120.0, recurrent=0.2, bias_scale=20.0, forget_bias=10.0,
         input_bias=10.0, start_c=40.0),
    # Livelier than the others, yet short of the chaos that begins at about 6.
    Case("long_h32_l2", 8, hidden=32, layers=2, embed=8, vocab=28, steps=10_000,
         zero_start=True, weight_scale=2.5, keep_every=500),
)  # fmt: skip

BATCH_CASES = (
    Case("batch_h7_l1", 9, hidden=7, layers=1, embed=5, vocab=11, steps=max(BATCH_LENGTHS)),
    Case("batch_h13_l2", 10, hidden=13, layers=2, embed=6, vocab=17, steps=max(BATCH_LENGTHS)),
)


def draw(rng, shape, scale):
    """Uniform numbers in +-scale that float16 holds exactly."""
    return rng.uniform(-scale, scale, shape).astype(np.float16)


def draw_weights(rng, case):
    """The parameters of a case, under the names they are stored with."""
    scale = case.weight_scale / case.hidden**0.5
    weights = {"embedding.weight": draw(rng, (case.vocab, case.embed), 1.0)}
    for layer in range(case.layers):
        inputs = case.embed if layer == 0 else case.hidden
        weights[f"lstm.{layer}.weight_ih"] = draw(rng, (4 * case.hidden, inputs), scale)
        weights[f"lstm.{layer}.weight_hh"] = draw(
            rng, (4 * case.hidden, case.hidden), case.recurrent * scale
        )
        weights[f"lstm.{layer}.bias"] = draw_bias(rng, case)
    # The head keeps a normal scale: its job is the same in the saturated case.
    weights["head.weight"] = draw(rng, (case.vocab, case.hidden), 1.5 / case.hidden**0.5)
    weights["head.bias"] = draw(rng, case.vocab, 0.5)
    return weights


def draw_bias(rng, case):
    """A layer's bias; its four blocks belong to the gates i, f, g, o."""
    bias = rng.uniform(-case.bias_scale, case.bias_scale, (4, case.hidden))
    bias[0] += case.input_bias
    bias[1] += case.forget_bias
    return bias.reshape(-1).astype(np.float16)


def draw_start(rng, case, batch):
    """The states h0 and c0 before the first token, each [layers, batch, hidden]."""
    shape = (case.layers, batch, case.hidden)
    if case.zero_start:
        return np.zeros(shape, np.float16), np.zeros(shape, np.float16)
    return draw(rng, shape, case.start_h), draw(rng, shape, case.start_c)


class Network(nn.Module):
    """Embedding -> LSTM -> Linear, run one step at a time.

    `nn.LSTM` gives the states of all its layers only after its last step, so
    taking single steps is how to see every layer at every step.
    """

    def __init__(self, case, weights, dtype):
        super().__init__()
        self.embedding = nn.Embedding(case.vocab, case.embed)
        self.lstm = nn.LSTM(case.embed, case.hidden, num_layers=case.layers)
        self.head = nn.Linear(case.hidden, case.vocab)
        self.to(dtype)
        self.by_name = self._name_parameters(case.layers)
        self._load(weights)

    def _name_parameters(self, layers):
        named = {"embedding.weight": self.embedding.weight}
        for layer in range(layers):
            named[f"lstm.{layer}.weight_ih"] = getattr(self.lstm, f"weight_ih_l{layer}")
            named[f"lstm.{layer}.weight_hh"] = getattr(self.lstm, f"weight_hh_l{layer}")
            named[f"lstm.{layer}.bias"] = getattr(self.lstm, f"bias_ih_l{layer}")
        named["head.weight"] = self.head.weight
        named["head.bias"] = self.head.bias
        return named

    @torch.no_grad()
    def _load(self, weights):
        # PyTorch adds two biases where one is enough: the second one stays zero.
        for layer in range(self.lstm.num_layers):
            getattr(self.lstm, f"bias_hh_l{layer}").zero_()
        for name, parameter in self.by_name.items():
            parameter.copy_(torch.from_numpy(weights[name]))

    def forward(self, tokens, h, c):
        """tokens [B,T] -> h and c [T,L,B,H], logits [B,T,V]."""
        hs, cs, logits = [], [], []
        for column in tokens.T:
            output, (h, c) = self.lstm(self.embedding(column)[None], (h, c))
            hs.append(h)
            cs.append(c)
            logits.append(self.head(output[0]))
        return torch.stack(hs), torch.stack(cs), torch.stack(logits, dim=1)


def run_sequence(case, weights, tokens, h0, c0, dtype):
    """Run one sequence and return its results as arrays without a batch axis."""
    network = Network(case, weights, dtype)
    start = (torch.from_numpy(h0).to(dtype), torch.from_numpy(c0).to(dtype))
    with torch.no_grad():
        h, c, logits = network(torch.from_numpy(tokens)[None].long(), *start)
    return {"h": h[:, :, 0].numpy(), "c": c[:, :, 0].numpy(), "logits": logits[0].numpy()}


def digest(results, every):
    """Keep each `every`-th step, and the sums of h and c over all steps."""
    steps = np.arange(every - 1, len(results["h"]), every, dtype=np.uint32)
    kept = {name: values[steps] for name, values in results.items()}
    sums = {f"{name}_sum": results[name].sum(axis=0) for name in ("h", "c")}
    return {"steps": steps} | kept | sums


def make_sequence(case):
    """All tensors of a sequence case, and its float32 deviations."""
    rng = np.random.RandomState(case.seed)
    weights = draw_weights(rng, case)
    tokens = rng.randint(0, case.vocab, case.steps).astype(np.uint8)
    h0, c0 = draw_start(rng, case, batch=1)
    exact = run_sequence(case, weights, tokens, h0, c0, torch.float64)
    single = run_sequence(case, weights, tokens, h0, c0, torch.float32)
    deviations = compare(exact, single)
    if case.name == "saturated":
        check_saturated(case, weights, tokens, h0, exact)
    if case.keep_every > 1:
        exact = digest(exact, case.keep_every)
    start = {"h0": h0[:, 0], "c0": c0[:, 0]}
    return weights | {"tokens": tokens} | start | exact, deviations


def check_saturated(case, weights, tokens, h0, results):
    """Make sure that the saturated case is what its name says."""
    h_before = np.concatenate([h0[None, :, 0], results["h"][:-1]])
    below = weights["embedding.weight"].astype(np.float64)[tokens]
    sums = []
    for layer in range(case.layers):
        w_ih, w_hh, bias = (
            weights[f"lstm.{layer}.{part}"].astype(np.float64)
            for part in ("weight_ih", "weight_hh", "bias")
        )
        sums.append(below @ w_ih.T + h_before[:, layer] @ w_hh.T + bias)
        below = results["h"][:, layer]
    sums = np.abs(np.stack(sums))
    # At 9 a sigmoid lies within 2e-4 of its limit, and a tanh at it in float32.
    saturated = (sums > 9).mean()
    largest_c = np.abs(results["c"]).max()
    print(f"  saturated gates {saturated:.0%}, beyond 100: {(sums > 100).mean():.1%}")
    print(f"  largest |sum| {sums.max():.0f}, largest |c| {largest_c:.0f}")
    assert saturated > 0.5 and sums.max() > 100


def draw_batch(rng, case):
    """Tokens, targets and mask of lines of unequal length, padded with token 0."""
    lengths = np.array(BATCH_LENGTHS)
    mask = np.arange(case.steps) < lengths[:, None]
    shape = (len(lengths), case.steps)
    # Token 0 also occurs inside the lines: its gradient must come from there only.
    tokens, targets = (rng.randint(0, case.vocab, shape) * mask for _ in range(2))
    return {
        "tokens": tokens.astype(np.uint8),
        "targets": targets.astype(np.uint8),
        "mask": mask.astype(np.float32),
    }


def run_batch(case, weights, batch, h0, c0, dtype):
    """Run a padded batch and return its results, loss and gradients."""
    network = Network(case, weights, dtype)
    h0, c0 = (torch.from_numpy(x).to(dtype).requires_grad_() for x in (h0, c0))
    h, c, logits = network(torch.from_numpy(batch["tokens"]).long(), h0, c0)
    loss = masked_loss(logits, batch)
    loss.backward()
    results = {"h": h, "c": c, "logits": logits, "loss": loss[None]}
    for name, tensor in (network.by_name | {"h0": h0, "c0": c0}).items():
        results[f"grad.{name}"] = tensor.grad
    return {name: tensor.detach().numpy() for name, tensor in results.items()}


def masked_loss(logits, batch):
    """Mean cross-entropy in nats over the positions that the mask keeps."""
    targets = torch.from_numpy(batch["targets"]).long()
    mask = torch.from_numpy(batch["mask"]).to(logits.dtype)
    losses = nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    return (losses * mask).sum() / mask.sum()


def make_batch(case):
    """All tensors of a batch case, and its float32 deviations."""
    rng = np.random.RandomState(case.seed)
    weights = draw_weights(rng, case)
    batch = draw_batch(rng, case)
    h0, c0 = draw_start(rng, case, batch=len(BATCH_LENGTHS))
    exact = run_batch(case, weights, batch, h0, c0, torch.float64)
    single = run_batch(case, weights, batch, h0, c0, torch.float32)
    return weights | batch | {"h0": h0, "c0": c0} | exact, compare(exact, single)


def compare(exact, single):
    """The largest distance between both runs; all gradients count as one."""
    deviations = {}
    for name, values in exact.items():
        kind = name.split(".")[0]
        distance = float(np.abs(values - single[name]).max())
        deviations[kind] = max(deviations.get(kind, 0.0), distance)
    return deviations


def as_stored(name, values, weights):
    """Weights stay F16 and integers as they are; all else becomes F32."""
    if name in weights or values.dtype.kind == "u":
        return np.ascontiguousarray(values)
    return np.ascontiguousarray(values, dtype=np.float32)


def save(case, tensors, folder):
    """Write one case and return the size of its file in bytes."""
    weights = {name for name in tensors if name.startswith(("embedding.", "lstm.", "head."))}
    stored = {name: as_stored(name, values, weights) for name, values in tensors.items()}
    assert all(np.isfinite(values).all() for values in stored.values())
    path = folder / f"{case.name}.safetensors"
    # Not `save_file`: it makes files that only their owner may read.
    path.write_bytes(safetensors.save(stored))
    return path.stat().st_size


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    folder.mkdir(parents=True, exist_ok=True)
    # With several threads the order of float additions could change between runs.
    torch.set_num_threads(1)
    total = 0
    makers = [(case, make_sequence) for case in SEQUENCE_CASES]
    makers += [(case, make_batch) for case in BATCH_CASES]
    for case, make in makers:
        print(case.name)
        tensors, deviations = make(case)
        size = save(case, tensors, folder)
        total += size
        shown = ", ".join(f"{kind} {value:.1e}" for kind, value in deviations.items())
        print(f"  {size} bytes; float32 deviates by at most: {shown}")
    print(f"total {total} bytes")
    assert total < MAX_TOTAL_BYTES


if __name__ == "__main__":
    main()
