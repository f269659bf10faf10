"""charlet.py against PyTorch's vectors in tests/vectors, and against the golden names: python3 test_charlet.py"""

import json
import pathlib
import struct
import unittest
import zlib

import numpy as np

from charlet import CharletError, Model, Rng

ROOT = pathlib.Path(__file__).resolve().parents[3]
DTYPES = {"F16": np.float16, "F32": np.float32, "U8": np.uint8, "U32": np.uint32}
# The bounds of tests/support/tolerance.rs, with their reasons: of h and logits, and of c.
STATE, CELL, SATURATED = (1e-6, 1e-6), (2e-6, 1e-6), (1e-4, 2e-6)
CASES = {
    "h1_l1": (STATE, CELL),
    "h7_l2": (STATE, CELL),
    "h13_l3": (STATE, CELL),
    "h32_l2_one_step": (STATE, CELL),
    "h100_l1": (STATE, CELL),
    "h128_l2": (STATE, CELL),
    "saturated": (SATURATED, SATURATED),
}


def tensors(path):
    """A safetensors file: the length of its header, the header in JSON, and the tensors."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    found = {}
    for name, about in header.items():
        start, end = (8 + length + offset for offset in about["data_offsets"])
        found[name] = np.frombuffer(data[start:end], DTYPES[about["dtype"]]).reshape(about["shape"])
    return found


def varint(number):
    code = bytearray()
    while number >= 0x80:
        code.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(code + bytes([number]))


def columns(rows, width):
    """Rows of a matrix or a bias, [rows, columns], in blocks of 16, a column after the other."""
    rows = np.pad(rows, ((0, -len(rows) % 16), (0, 0)))
    return rows.reshape(-1, 16, width).transpose(0, 2, 1)


def gates(matrix):
    """Rows of four gates, reordered so that 16 are the gates of four units."""
    units, width = len(matrix) // 4, matrix.shape[1]
    padded = np.pad(matrix.reshape(4, units, width), ((0, 0), (0, -units % 4), (0, 0)))
    return columns(padded.reshape(4, -1, 4, width).transpose(1, 0, 2, 3).reshape(-1, width), width)


def model_file(case):
    """A model in single precision, written as runtime/FORMAT.md says."""
    case = {name: tensor.astype(np.float64) for name, tensor in case.items()}
    embedding, head = case["embedding.weight"], case["head.weight"]
    (vocab, embedding_size), hidden = embedding.shape, head.shape[1]
    layers = sum(name.endswith("weight_hh") for name in case)
    table = embedding @ case["lstm.0.weight_ih"].T + case["lstm.0.bias"]
    # A row of the table for each token.
    sections = [np.concatenate([gates(row[:, None]) for row in table]), gates(case["lstm.0.weight_hh"])]
    for layer in range(1, layers):
        sections.append(gates(case[f"lstm.{layer}.bias"][:, None]))
        inputs = case[f"lstm.{layer}.weight_ih"], case[f"lstm.{layer}.weight_hh"]
        sections.append(gates(np.concatenate(inputs, axis=1)))
    sections += [columns(case["head.bias"][:, None], 1), columns(head, hidden)]
    weights = b"".join(section.astype("<f4").tobytes() for section in sections)
    chars = "".join(chr(0x100 + token) for token in range(vocab)).encode()
    header = b"\0\0" + varint(len(chars)) + chars + varint(vocab) + b"\0\0"
    header += varint(embedding_size) + varint(hidden) + varint(layers)
    padding = bytes(-(32 + len(header)) % 16)
    words = 2 * hidden * layers, hidden + vocab
    length = 32 + len(header) + len(padding) + len(weights)
    start = b"charlet\n" + struct.pack("<HHIIII", 1, 0, len(header), length, *words)
    rest = header + padding + weights
    return start + struct.pack("<I", zlib.crc32(start + rest)) + rest


class Vectors(unittest.TestCase):
    def test_every_step_is_pytorch_s(self):
        for name, (state, cell) in CASES.items():
            with self.subTest(name):
                case = tensors(ROOT / "tests/vectors" / f"{name}.safetensors")
                model = Model(model_file(case))
                model.set_state(case["h0"], case["c0"])
                for at, token in enumerate(case["tokens"]):
                    step = model.step(int(token))
                    for actual, expected, (absolute, relative) in [
                        (step.h, case["h"][at], state),
                        (step.c, case["c"][at], cell),
                        (step.logits, case["logits"][at], state),
                    ]:
                        np.testing.assert_allclose(actual, expected, relative, absolute)


class Names(unittest.TestCase):
    def setUp(self):
        self.model = Model(ROOT / "models/names/names-i8.charlet")

    def test_names_are_the_golden_ones(self):
        golden = (ROOT / "examples/firmware/transcript/names-i8.txt").read_text().split("\n")
        rng = Rng(1)
        self.assertEqual([self.model.generate(rng) for _ in range(20)], golden[:20])
        self.assertEqual(self.model.generate(seed=1), golden[0])
        self.assertEqual(self.model.generate(prompt="ma", temperature=0), golden[25].split()[3])

    def test_a_score_is_the_sum_of_the_steps(self):
        words = ["maria", "", "zoe"]
        for word, score in zip(words, self.model.score(words)):
            self.model.start()
            total, tokens = 0.0, [self.model.token(char) for char in word]
            for fed, expected in zip([self.model.info.start, *tokens], [*tokens, self.model.info.end]):
                logits = self.model.step(fed).logits.astype(np.float64)
                total += logits[expected] - np.log(np.exp(logits).sum())
            self.assertAlmostEqual(score, total, places=4)

    def test_what_is_wrong_is_said(self):
        self.assertEqual(self.model.chars, "abcdefghijklmnopqrstuvwxyz")
        h, c = self.model.state()
        for call, sentence in [
            (lambda: Model(b"nothing"), "not a charlet model"),
            (lambda: self.model.generate(prompt="M"), "does not know a character"),
            (lambda: self.model.step("M"), "does not know the character 'M'"),
            (lambda: self.model.step(99), "no token 99"),
            (lambda: self.model.generate(temperature=-1), "temperature"),
            (lambda: self.model.generate(seed=-1), "seed must be from 0 to 18446744073709551615, not -1"),
            (lambda: Rng(2**64), "seed must be"),
            (lambda: self.model.generate(top_k=-1), "top_k must be"),
            (lambda: self.model.generate(top_k=2**32), "top_k must be"),
            (lambda: self.model.generate(length=-1), "length must be"),
            (lambda: self.model.generate(length=2**62), "length must be"),
            (lambda: self.model.set_state(h * np.nan, c), "NaN"),
            (lambda: self.model.set_state(h, c * np.nan), "NaN"),
        ]:
            with self.assertRaisesRegex(CharletError, sentence):
                call()
        with self.assertRaisesRegex(TypeError, "list of lines"):
            self.model.score("maria")


if __name__ == "__main__":
    unittest.main()
