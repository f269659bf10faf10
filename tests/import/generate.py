#!/usr/bin/env python3
"""Make the small networks of other programs in this folder, and what they compute.

Each network is written by its own program as its users write it. Beside it, NAME.safetensors in `expected` holds
random `tokens` [T] and, after each of them, `h` and `c` [T, L, H] and `logits` [T, V], computed by the same program in
float64 and stored as F32. README.md says more.

    python3 -m pip install torch safetensors numpy keras h5py onnx onnxscript
    python3 tests/import/generate.py [pytorch|keras|onnx ...]
    python3 -m pip install tensorflow-cpu tf2onnx
    KERAS_BACKEND=tensorflow python3 tests/import/generate.py keras_onnx
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors
from torch import nn

HERE = Path(__file__).parent
EXPECTED = HERE / "expected"
# In no order, as programs number their characters that don't sort them.
CHARS = "\nzebra.Cé fx"
STEPS = 12


class Net(nn.Module):
    """An optional embedding, nn.LSTM, and a linear layer."""

    def __init__(self, layers, embedding, hidden, bias=True, head_bias=True):
        super().__init__()
        vocab = len(CHARS)
        self.embedding = nn.Embedding(vocab, embedding) if embedding else None
        self.lstm = nn.LSTM(embedding or vocab, hidden, layers, bias=bias, batch_first=True)
        self.fc = nn.Linear(hidden, vocab, bias=head_bias)

    def inputs(self, tokens):
        if self.embedding is not None:
            return self.embedding(tokens)
        return nn.functional.one_hot(tokens, len(CHARS)).to(self.fc.weight.dtype)

    def forward(self, tokens, state=None):
        y, state = self.lstm(self.inputs(tokens), state)
        return self.fc(y), state


def network(seed, *args, **options):
    """A network with weights large enough that its states move."""
    torch.manual_seed(seed)
    net = Net(*args, **options)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(2.0)
    return net.eval()


def drawn(seed):
    return np.random.default_rng(seed).integers(0, len(CHARS), STEPS)


def write_expected(name, tokens, h, c, logits):
    tensors = {"h": h, "c": c, "logits": logits}
    tensors = {key: np.ascontiguousarray(value, dtype=np.float32) for key, value in tensors.items()}
    tensors["tokens"] = tokens.astype(np.uint8)
    save_file(tensors, EXPECTED / f"{name}.safetensors", metadata={"chars": CHARS})
    print(name)


@torch.no_grad()
def expect(name, net, seed):
    """What a network of PyTorch computes, step by step."""
    exact = Net(net.lstm.num_layers, net.embedding and net.embedding.embedding_dim, net.lstm.hidden_size,
                net.lstm.bias, net.fc.bias is not None).double()
    exact.load_state_dict(net.state_dict())
    tokens, state = drawn(seed), None
    h, c, logits = [], [], []
    for token in tokens:
        y, state = exact(torch.tensor([[token]]), state)
        h.append(state[0][:, 0].numpy())
        c.append(state[1][:, 0].numpy())
        logits.append(y[0, 0].numpy())
    write_expected(name, tokens, np.stack(h), np.stack(c), np.stack(logits))


def pytorch():
    net = network(1, 1, None, 5)
    save_tensors(net.state_dict(), HERE / "one_hot.safetensors")
    expect("one_hot.safetensors", net, 1)

    net = network(2, 1, None, 6, bias=False, head_bias=False)
    torch.save(net.state_dict(), HERE / "no_bias.pt")
    expect("no_bias.pt", net, 2)

    # Deeper in a checkpoint, with an optimizer and what else people keep; its characters are in it.
    net = network(3, 2, 4, 5)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.tensor([[1, 2]]))[0].sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 3,
        "loss": 1.5,
        "model_state_dict": nn.DataParallel(net).state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "char2idx": {char: at for at, char in enumerate(CHARS)},
    }
    torch.save(checkpoint, HERE / "checkpoint.pth")
    expect("checkpoint.pth", net, 3)

    net = network(4, 3, 3, 4)
    save_tensors({f"model.{name}": value for name, value in net.state_dict().items()}, HERE / "three.safetensors")
    expect("three.safetensors", net, 4)

    # The whole module, in half precision; and a weight that is a view.
    net = network(5, 2, None, 5).half()
    net.fc.weight = nn.Parameter(net.fc.weight.detach().T.contiguous().T)
    torch.save(net, HERE / "module.pt")
    expect("module.pt", net.float(), 5)


def keras_network(seed, layers, embedding, hidden, bias=True, every=True, dtype="float32"):
    """A classic network of Keras, and its LSTM layers."""
    import keras

    keras.utils.set_random_seed(seed)
    vocab = len(CHARS)
    inputs = keras.Input((None,)) if embedding else keras.Input((None, vocab), dtype=dtype)
    x = keras.layers.Embedding(vocab, embedding, dtype=dtype)(inputs) if embedding else inputs
    lstms = []
    for layer in range(layers):
        lstm = keras.layers.LSTM(hidden, return_sequences=every or layer + 1 < layers, use_bias=bias, dtype=dtype)
        x = keras.layers.Dropout(0.2)(lstm(x))
        lstms.append(lstm)
    x = keras.layers.Dense(vocab, activation="softmax", dtype=dtype)(x)
    return keras.Model(inputs, x), lstms


def keras_case(names, seed, layers, embedding, hidden, **options):
    import keras

    net, _ = keras_network(seed, layers, embedding, hidden, **options)
    random = np.random.default_rng(seed)
    net.set_weights([random.uniform(-1, 1, weight.shape) for weight in net.get_weights()])
    # As sequential models, which is how they are written.
    if not embedding:
        net = keras.Sequential(net.layers)
    for name in names:
        path = HERE / name
        if name.endswith(".onnx"):
            # What has never run has no shapes yet.
            fed = drawn(seed)[None]
            net(fed if embedding else np.eye(len(CHARS), dtype=np.float32)[fed])
            net.export(path, format="onnx", verbose=False)
        elif name.endswith(".weights.h5"):
            net.save_weights(path)
        else:
            net.save(path)
    exact, lstms = keras_network(seed, layers, embedding, hidden, **{**options, "every": True, "dtype": "float64"})
    exact.set_weights([weight.astype(np.float64) for weight in net.get_weights()])
    tokens = drawn(seed)
    first = exact.layers[1](exact.inputs[0]) if embedding else exact.inputs[0]
    # Layers that give c, too, with the same weights; c comes after the last step only.
    values, outputs = first, []
    for lstm in lstms:
        whole = keras.layers.LSTM(hidden, return_sequences=True, return_state=True, use_bias=lstm.use_bias,
                                  dtype="float64")
        values, h, c = whole(values)
        whole.set_weights(lstm.get_weights())
        outputs += [h, c]
    logits = keras.layers.Dense(len(CHARS), dtype="float64")
    outputs.append(logits(values))
    logits.set_weights(exact.layers[-1].get_weights())
    states = keras.Model(exact.inputs, outputs)
    h, c, y = [], [], []
    for length in range(1, STEPS + 1):
        fed = tokens[None, :length]
        fed = fed if embedding else np.eye(len(CHARS))[fed]
        *state, all_logits = [keras.ops.convert_to_numpy(value) for value in states(fed)]
        h.append(np.stack([value[0] for value in state[::2]]))
        c.append(np.stack([value[0] for value in state[1::2]]))
        y.append(all_logits[0, -1])
    for name in names:
        write_expected(name, tokens, np.stack(h), np.stack(c), np.stack(y))


def keras():
    keras_case(["keras_1.keras", "keras_1.h5"], 11, 1, None, 5)
    keras_case(["keras_2.keras", "keras_2.h5", "keras_2.weights.h5"], 12, 2, None, 4, every=False)
    keras_case(["keras_embedding.keras", "keras_embedding.h5"], 13, 1, 3, 5, bias=False)


def keras_onnx():
    keras_case(["onnx_keras_1.onnx"], 31, 1, None, 5)
    keras_case(["onnx_keras_2.onnx"], 32, 2, 3, 4)


class Logits(nn.Module):
    """A network without its state."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, tokens):
        return self.net(tokens)[0]


class Step(nn.Module):
    """A network of one-hot vectors with its state, whose last h alone goes to the head."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, h, c):
        y, (h, c) = self.net.lstm(x, (h, c))
        return self.net.fc(y[:, -1]), h, c


def without_paths(path):
    """Takes out where on this machine each node comes from, which the newer exporter writes down."""
    from onnx import load, save

    model = load(path, load_external_data=False)
    graph = model.graph
    for part in [model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer]:
        del part.metadata_props[:]
    save(model, path)


def onnx():
    def export(name, module, inputs, net, seed, **options):
        torch.onnx.export(module.eval(), inputs, HERE / name, verbose=False, **options)
        without_paths(HERE / name)
        expect(name, net, seed)

    tokens = (torch.tensor([[1, 2, 3]]),)
    net = network(21, 1, None, 5)
    export("onnx_one_hot.onnx", Logits(net), tokens, net, 21, dynamo=False)
    net = network(22, 2, 4, 5)
    export("onnx_embedding.onnx", Logits(net), tokens, net, 22, dynamo=False)
    export("onnx_dynamo.onnx", Logits(net), tokens, net, 22, dynamo=True, external_data=False)
    net = network(23, 3, None, 4, bias=False)
    inputs = (torch.zeros(1, 1, len(CHARS)), torch.zeros(3, 1, 4), torch.zeros(3, 1, 4))
    export("onnx_step.onnx", Step(net), inputs, net, 23, dynamo=False)
    # So large that the exporter doesn't compute its weights in ONNX' order, but leaves that to the graph.
    net = network(25, 1, None, 46)
    export("onnx_dynamo_large.onnx", Logits(net), tokens, net, 25, dynamo=True, external_data=False)
    # Numbers in a file of their own, as the newer exporter writes them unless told otherwise.
    net = network(24, 1, 4, 8)
    export("onnx_external.onnx", Logits(net), tokens, net, 24, dynamo=True)


def main():
    torch.set_num_threads(1)
    EXPECTED.mkdir(exist_ok=True)
    (HERE / "chars.json").write_text(json.dumps({char: at for at, char in enumerate(CHARS)}) + "\n")
    parts = {"pytorch": pytorch, "keras": keras, "onnx": onnx, "keras_onnx": keras_onnx}
    for part in sys.argv[1:] or ("pytorch", "keras", "onnx"):
        parts[part]()


if __name__ == "__main__":
    main()
