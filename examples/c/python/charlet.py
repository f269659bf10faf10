"""charlet in Python, over the C library: texts, scores, and every step's h, c and logits.

    from charlet import Model, Rng
    model = Model("models/names/names-i8.charlet")
    print(model.generate(seed=1))
    rng = Rng(1)
    print([model.generate(rng) for _ in range(20)])
    print(model.score(["maria", "mrqxz"]))
    step = model.step("m")         # after start(): step.h, step.c [layers, units], step.logits [tokens]

It needs numpy and the library: `cargo build --profile fast` in examples/c, or CHARLET_LIBRARY names it.
"""

import ctypes
import operator
import os
import pathlib
import sys
from typing import NamedTuple

import numpy as np

__all__ = ["Model", "Rng", "Step", "CharletError"]

_FLOATS = ctypes.POINTER(ctypes.c_float)
_SIZE = ctypes.c_size_t
_POINTER = ctypes.c_void_p


class _Info(ctypes.Structure):
    """charlet_info of charlet.h."""

    _fields_ = [
        ("vocab_size", ctypes.c_uint32),
        ("start", ctypes.c_int32),
        ("end", ctypes.c_int32),
        ("unknown", ctypes.c_int32),
        ("embedding_size", ctypes.c_uint32),
        ("hidden_size", ctypes.c_uint32),
        ("num_layers", ctypes.c_uint32),
        ("weight_bits", ctypes.c_uint32),
        ("checksum", ctypes.c_uint32),
        ("session_size", _SIZE),
        ("saved_size", _SIZE),
    ]


class _ModelMemory(ctypes.Structure):
    _fields_ = [("opaque", _SIZE * 32)]


class _SamplerMemory(ctypes.Structure):
    _fields_ = [("opaque", _SIZE * 10)]


class _RngMemory(ctypes.Structure):
    _fields_ = [("words", ctypes.c_uint32 * 4)]


def _load():
    name = {"darwin": "libcharlet.dylib", "win32": "charlet.dll"}.get(sys.platform, "libcharlet.so")
    here = pathlib.Path(__file__).resolve().parent
    path = os.environ.get("CHARLET_LIBRARY") or here.parent / "target" / "fast" / name
    library = ctypes.CDLL(str(path))
    library.charlet_error_text.restype = ctypes.c_char_p
    library.charlet_session_size.restype = _SIZE
    for function, arguments in {
        "charlet_error_text": [ctypes.c_int32],
        "charlet_model_from_bytes": [_POINTER, ctypes.c_char_p, _SIZE],
        "charlet_model_info": [_POINTER, _POINTER],
        "charlet_model_token": [_POINTER, ctypes.c_int32],
        "charlet_model_char": [_POINTER, ctypes.c_uint16],
        "charlet_session_init": [_POINTER, _POINTER, _POINTER, _SIZE],
        "charlet_session_start": [_POINTER],
        "charlet_session_prompt": [_POINTER, ctypes.c_char_p, _SIZE],
        "charlet_session_generate": [_POINTER, _POINTER, _POINTER, _SIZE, _POINTER, _SIZE],
        "charlet_session_score": [_POINTER, ctypes.c_char_p, _SIZE, _POINTER],
        "charlet_session_step": [_POINTER, ctypes.c_uint16, _FLOATS, _SIZE],
        "charlet_session_layer": [_POINTER, _SIZE, _FLOATS, _FLOATS, _SIZE],
        "charlet_session_set_layer": [_POINTER, _SIZE, _FLOATS, _FLOATS, _SIZE],
        "charlet_sampler_init": [_POINTER, ctypes.c_float, ctypes.c_uint32, ctypes.c_float],
        "charlet_rng_seed": [_POINTER, ctypes.c_uint64],
    }.items():
        getattr(library, function).argtypes = arguments
    return library


_library = _load()


class CharletError(ValueError):
    """What the library refuses, with its sentence."""


def _check(error):
    if error != 0:
        raise CharletError(_library.charlet_error_text(error).decode())


def _whole(name, value, most):
    """A whole number from 0: ctypes would cut off bits of another one."""
    value = operator.index(value)
    if not 0 <= value <= most:
        raise CharletError(f"{name} must be from 0 to {most}, not {value}")
    return value


def _floats(array):
    return array.ctypes.data_as(_FLOATS)


class Rng:
    """Random numbers from a seed: one makes all texts of a run, as the command's does."""

    def __init__(self, seed):
        self._memory = _RngMemory()
        _library.charlet_rng_seed(ctypes.byref(self._memory), _whole("seed", seed, 2**64 - 1))


class Step(NamedTuple):
    """h and c of every layer, [layers, units], and the logits of what follows, [tokens]."""

    h: np.ndarray
    c: np.ndarray
    logits: np.ndarray


class Model:
    """A model file and a text on its way. One thread at a time."""

    def __init__(self, path):
        """Reads a file, or takes its bytes."""
        # The library borrows them.
        self._bytes = path if isinstance(path, bytes) else pathlib.Path(path).read_bytes()
        self._memory = _ModelMemory()
        model = ctypes.byref(self._memory)
        _check(_library.charlet_model_from_bytes(model, self._bytes, len(self._bytes)))
        self.info = _Info()
        _check(_library.charlet_model_info(model, ctypes.byref(self.info)))
        words = -(-self.info.session_size // 8)
        self._session_memory = (ctypes.c_uint64 * words)()
        self._session = _POINTER()
        _check(
            _library.charlet_session_init(
                ctypes.byref(self._session), model, self._session_memory, self.info.session_size
            )
        )

    @property
    def chars(self):
        """The characters, in the order of their tokens."""
        chars = (
            _library.charlet_model_char(ctypes.byref(self._memory), token)
            for token in range(self.info.vocab_size)
        )
        return "".join(chr(char) for char in chars if char >= 0)

    def token(self, char):
        """The token of a character, or the mark for those that the model doesn't know."""
        token = _library.charlet_model_token(ctypes.byref(self._memory), ord(char))
        if token < 0:
            raise CharletError(f"the model does not know the character {char!r}")
        return token

    def generate(self, seed=1, prompt="", temperature=0.8, top_k=0, top_p=1.0, length=20):
        """A text of at most so many characters behind the prompt; `seed` is a number, or an Rng to go on with."""
        rng = seed if isinstance(seed, Rng) else Rng(seed)
        top_k, length = _whole("top_k", top_k, 2**32 - 1), _whole("length", length, 2**28)
        sampler = _SamplerMemory()
        _check(_library.charlet_sampler_init(ctypes.byref(sampler), temperature, top_k, top_p))
        self.start()
        start = prompt.encode()
        _check(_library.charlet_session_prompt(self._session, start, len(start)))
        text = ctypes.create_string_buffer(4 * length + 1)
        _check(
            _library.charlet_session_generate(
                self._session, ctypes.byref(sampler), ctypes.byref(rng._memory), length, text, len(text)
            )
        )
        return prompt + text.value.decode()

    def score(self, lines):
        """The log-probability of each line, its end included: in nats."""
        if isinstance(lines, str):
            raise TypeError("score takes a list of lines: put the text into brackets")
        scores = np.empty(len(lines), dtype=np.float32)
        score = ctypes.c_float()
        for at, line in enumerate(lines):
            text = line.encode()
            _check(_library.charlet_session_score(self._session, text, len(text), ctypes.byref(score)))
            scores[at] = score.value
        return scores

    def start(self):
        """Starts a new text: h and c become zero."""
        _check(_library.charlet_session_start(self._session))

    def step(self, token=None):
        """Feeds a token, a character, or the mark before a text's first character."""
        if token is None:
            token = self.info.start
        elif isinstance(token, str):
            token = self.token(token)
        logits = np.empty(self.info.vocab_size, dtype=np.float32)
        if not 0 <= token < self.info.vocab_size:
            raise CharletError(f"the model has no token {token}")
        _check(_library.charlet_session_step(self._session, token, _floats(logits), logits.size))
        return Step(*self.state(), logits)

    def state(self):
        """h and c of every layer."""
        shape = (self.info.num_layers, self.info.hidden_size)
        h, c = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
        for layer in range(shape[0]):
            _check(
                _library.charlet_session_layer(self._session, layer, _floats(h[layer]), _floats(c[layer]), shape[1])
            )
        return h, c

    def set_state(self, h, c):
        """Replaces h and c of every layer."""
        shape = (self.info.num_layers, self.info.hidden_size)
        h, c = np.ascontiguousarray(h, dtype=np.float32), np.ascontiguousarray(c, dtype=np.float32)
        if h.shape != shape or c.shape != shape:
            raise CharletError(f"h and c must have the shape {shape}")
        if np.isnan(h).any() or np.isnan(c).any():
            raise CharletError("h and c must be numbers, not NaN")
        for layer in range(shape[0]):
            _check(
                _library.charlet_session_set_layer(
                    self._session, layer, _floats(h[layer]), _floats(c[layer]), shape[1]
                )
            )
