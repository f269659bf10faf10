#!/usr/bin/env python3
"""One step of the same network in ONNX Runtime and in charlet, side by side on this machine.

    cargo build --release
    pip install onnxruntime onnx numpy
    python tests/bench/versus_onnx.py --charlet target/release/charlet

A step takes a token and the state to the logits and the next state, on one thread. All weights are
random. ONNX Runtime gets a Gather, its own LSTM nodes, and the head; in integers it is measured in
several ways, and the fastest counts:

  dynamic s8, u8   `quantize_dynamic`: DynamicQuantizeLSTM, with signed or unsigned weights
  cells            gates as a MatMul of [x, h], quantized by `quantize_dynamic`; the cell as operators
  cells qdq        the same network, quantized by `quantize_static` with ranges of random steps

Inputs and outputs are bound once, and two bindings swap the old state with the new one, so that Python
neither copies nor allocates anything in the loop. What is left of Python is a call: an empty one of
the same kind is timed too, shown as `call`, and subtracted.

Rounds alternate between the two, and every figure is the median of its rounds.
"""

import argparse
import json
import logging
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

# Tokens, hidden units, layers.
SHAPES = {
    "names": (56, 128, 1),
    "small": (65, 128, 2),
    "guide": (60, 512, 2),
    "alice": (42, 700, 3),
}
EMBEDDING = 32


class Graph:
    """Collects the nodes and weights of a network."""

    def __init__(self, hidden):
        self.random = np.random.default_rng(1)
        self.scale = hidden**-0.5
        self.nodes, self.weights, self.inputs, self.outputs = [], [], [], []

    def weight(self, name, *shape):
        return self.constant(name, self.random.uniform(-self.scale, self.scale, shape).astype(np.float32))

    def constant(self, name, value):
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def node(self, operator, inputs, outputs, **attributes):
        self.nodes.append(helper.make_node(operator, inputs, outputs, **attributes))
        return outputs[0]

    def value(self, where, name, shape, kind=TensorProto.FLOAT):
        where.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def head(self, h, hidden, vocab):
        self.node("MatMul", [h, self.weight("head", hidden, vocab)], ["products"])
        self.node("Add", ["products", self.weight("head_bias", vocab)], ["logits"])
        self.value(self.outputs, "logits", [1, vocab])

    def save(self, path):
        graph = helper.make_graph(self.nodes, "step", self.inputs, self.outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        onnx.checker.check_model(model)
        onnx.save(model, path)


def lstm_network(path, vocab, hidden, layers):
    """With LSTM nodes: what exporters of PyTorch and others write."""
    graph = Graph(hidden)
    token = graph.value(graph.inputs, "token", [1, 1], TensorProto.INT64)
    x = graph.node("Gather", [graph.weight("embedding", vocab, EMBEDDING), token], ["x"])
    for layer in range(layers):
        inputs = EMBEDDING if layer == 0 else hidden
        state = [graph.value(graph.inputs, f"{part}{layer}", [1, 1, hidden]) for part in "hc"]
        weights = [
            graph.weight(f"W{layer}", 1, 4 * hidden, inputs),
            graph.weight(f"R{layer}", 1, 4 * hidden, hidden),
            graph.weight(f"B{layer}", 1, 8 * hidden),
        ]
        next_state = [graph.value(graph.outputs, f"next_{part}{layer}", [1, 1, hidden]) for part in "hc"]
        graph.node("LSTM", [x, *weights, "", *state], ["", *next_state], hidden_size=hidden)
        x = next_state[0]
    flat = graph.constant("flat", np.array([1, hidden], dtype=np.int64))
    graph.head(graph.node("Reshape", [x, flat], ["last"]), hidden, vocab)
    graph.save(path)


def cell_network(path, vocab, hidden, layers):
    """With a MatMul for all gates of a layer, which is quantized apart from its cell."""
    graph = Graph(hidden)
    token = graph.value(graph.inputs, "token", [1], TensorProto.INT64)
    x = graph.node("Gather", [graph.weight("embedding", vocab, EMBEDDING), token], ["x"])
    for layer in range(layers):
        inputs = EMBEDDING if layer == 0 else hidden
        h, c = (graph.value(graph.inputs, f"{part}{layer}", [1, hidden]) for part in "hc")
        next_h, next_c = (graph.value(graph.outputs, f"next_{part}{layer}", [1, hidden]) for part in "hc")
        name = lambda part: f"{part}_{layer}"
        both = graph.node("Concat", [x, h], [name("xh")], axis=1)
        weight = graph.weight(name("W"), inputs + hidden, 4 * hidden)
        products = graph.node("MatMul", [both, weight], [name("products")])
        sums = graph.node("Add", [products, graph.weight(name("B"), 4 * hidden)], [name("sums")])
        gates = [name(gate) for gate in ("squashed", "g")]
        sizes = graph.constant(name("sizes"), np.array([3 * hidden, hidden], dtype=np.int64))
        graph.node("Split", [sums, sizes], gates, axis=1)
        squashed = graph.node("Sigmoid", [gates[0]], [name("sigmoid")])
        i, f, o = (name(gate) for gate in "ifo")
        graph.node("Split", [squashed], [i, f, o], axis=1)
        g = graph.node("Tanh", [gates[1]], [name("tanh")])
        kept = graph.node("Mul", [f, c], [name("kept")])
        graph.node("Add", [kept, graph.node("Mul", [i, g], [name("added")])], [next_c])
        x = graph.node("Mul", [o, graph.node("Tanh", [next_c], [name("tanh_c")])], [next_h])
    graph.head(x, hidden, vocab)
    graph.save(path)


class RandomSteps(CalibrationDataReader):
    """Tokens and states to measure ranges with."""

    def __init__(self, path, vocab):
        random = np.random.default_rng(2)
        inputs = onnx.load(path).graph.input
        shapes = {one.name: [dim.dim_value for dim in one.type.tensor_type.shape.dim] for one in inputs}
        state = {name: shape for name, shape in shapes.items() if name != "token"}
        self.steps = iter(
            {"token": random.integers(0, vocab, shapes["token"])}
            | {name: random.uniform(-1, 1, shape).astype(np.float32) for name, shape in state.items()}
            for _ in range(20)
        )

    def get_next(self):
        return next(self.steps, None)


class Steps:
    """Runs a network step by step, with state and logits in memory that stays where it is."""

    def __init__(self, path):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        zeros = lambda one: ort.OrtValue.ortvalue_from_numpy(
            np.zeros(one.shape, np.int64 if one.name == "token" else np.float32)
        )
        inputs = [{one.name: zeros(one) for one in session.get_inputs()} for _ in range(2)]
        logits = next(one for one in session.get_outputs() if one.name == "logits")
        self.logits = zeros(logits)
        self.session = session
        self.bindings = []
        for old, new in (inputs, reversed(inputs)):
            binding = session.io_binding()
            for name, value in old.items():
                binding.bind_ortvalue_input(name, value)
                if name != "token":
                    binding.bind_ortvalue_output(f"next_{name}", new[name])
            binding.bind_ortvalue_output("logits", self.logits)
            self.bindings.append(binding)

    def nanoseconds(self, seconds):
        """The median time of a step, in batches of about a hundredth of `seconds`."""
        # The binding's own method, without the Python around it.
        run = self.session._sess.run_with_iobinding
        first, second = (binding._iobinding for binding in self.bindings)
        return median_of_batches(lambda: (run(first, None), run(second, None)), seconds) / 2

    def call(self, seconds):
        """The same for a call of the library that does nothing."""
        empty = self.logits._ortvalue.is_tensor
        return median_of_batches(lambda: (empty(), empty()), seconds) / 2


def median_of_batches(twice, seconds):
    start, runs = time.perf_counter(), 0
    while time.perf_counter() - start < seconds / 10:
        twice()
        runs += 1
    batch = max(1, runs // 10)
    times = []
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        before = time.perf_counter_ns()
        for _ in range(batch):
            twice()
        times.append((time.perf_counter_ns() - before) / batch)
    return statistics.median(times)


def networks(folder, shape):
    """ONNX Runtime's networks of a shape: precision, name and steps."""
    vocab, _, _ = shape
    lstm, cells = folder / "lstm.onnx", folder / "cells.onnx"
    lstm_network(lstm, *shape)
    cell_network(cells, *shape)
    paths = {("f32", "lstm"): lstm, ("f32", "cells"): cells}

    def quantized(name, quantize, source, **options):
        path = paths["int8", name] = folder / f"int8 {name}.onnx"
        quantize(source, path, **options)

    quantized("dynamic s8", quantize_dynamic, lstm, weight_type=QuantType.QInt8)
    quantized("dynamic u8", quantize_dynamic, lstm, weight_type=QuantType.QUInt8)
    quantized("cells", quantize_dynamic, cells, weight_type=QuantType.QInt8)
    quantized(
        "cells qdq",
        quantize_static,
        cells,
        calibration_data_reader=RandomSteps(cells, vocab),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["MatMul"],
    )
    return {key: Steps(path) for key, path in paths.items()}


def charlet_nanoseconds(charlet, shape, precisions, seconds):
    """charlet's times by precision, on the best backend."""
    sizes = ",".join(map(str, shape))
    command = [charlet, "bench", "step", "--json", "--shape", sizes]
    command += ["--precision", ",".join(precisions), "--seconds", str(seconds), "--best-backend"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return {result["precision"]: result["median_ns"] for result in report["results"]}


def measure(charlet, shape, precisions, rounds, seconds):
    """The medians of a shape, in nanoseconds."""
    onnx_times, charlet_times, calls = {}, {}, []
    with tempfile.TemporaryDirectory() as folder:
        sessions = networks(Path(folder), shape)
        for _ in range(rounds):
            for key, steps in sessions.items():
                onnx_times.setdefault(key, []).append(steps.nanoseconds(seconds))
            calls.append(next(iter(sessions.values())).call(seconds / 10))
            for precision, time_ in charlet_nanoseconds(charlet, shape, precisions, seconds).items():
                charlet_times.setdefault(precision, []).append(time_)
    call = statistics.median(calls)
    onnx_medians = {key: statistics.median(times) - call for key, times in onnx_times.items()}
    return call, onnx_medians, {key: statistics.median(times) for key, times in charlet_times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--charlet", default="target/release/charlet", help="the command to measure")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES), help="what to measure")
    parser.add_argument("--precisions", nargs="+", default=["f32", "i8", "i4"], help="charlet's precisions")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3, help="for each network in each round")
    parser.add_argument("--json", action="store_true", help="print JSON, in nanoseconds")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    ort.set_default_logger_severity(3)
    report = {"onnxruntime": ort.__version__, "rounds": args.rounds, "shapes": {}}
    if not args.json:
        print(f"ONNX Runtime {ort.__version__}, medians of {args.rounds} rounds, one thread, us per character")
        print(f"{'':18}{'onnxruntime':>13}  {'':12}{'charlet':>10}  {'ratio':>6}  {'call':>5}")
    for name in args.shapes:
        shape = SHAPES[name]
        call, onnx_times, charlet_times = measure(
            args.charlet, shape, args.precisions, args.rounds, args.seconds
        )
        rows = {}
        for precision, nanoseconds in charlet_times.items():
            kind = "f32" if precision == "f32" else "int8"
            best = min((key for key in onnx_times if key[0] == kind), key=onnx_times.get)
            rows[precision] = {
                "onnxruntime_ns": onnx_times[best],
                "onnxruntime_network": best[1],
                "charlet_ns": nanoseconds,
                "ratio": onnx_times[best] / nanoseconds,
            }
            if not args.json:
                print(
                    f"{name:6} {precision:4} {kind:>6}{onnx_times[best] / 1e3:>13.2f}  {best[1]:12}"
                    f"{nanoseconds / 1e3:>10.2f}  {rows[precision]['ratio']:>6.2f}  {call / 1e3:>5.2f}",
                    flush=True,
                )
        every = {f"{kind} {network}": time_ for (kind, network), time_ in onnx_times.items()}
        report["shapes"][name] = {
            "vocab_hidden_layers": shape,
            "call_ns": call,
            "precisions": rows,
            "onnxruntime_networks_ns": every,
        }
    if args.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
