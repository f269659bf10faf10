#!/usr/bin/env python3
"""Trains a recipe in Keras and prints its held-out loss at several moments, each as a line of JSON.

python tests/bench/recipes/in_keras.py guide --train guide.txt --held-out guide-held-out.txt --seconds 600

Seconds are those spent in training steps. The first step, in which the graph is compiled, is learnt from and not
counted; neither is what prepares the batches.
"""

import argparse
import itertools
import json
import math
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
from known import RECIPES

# Windows that are predicted at once.
PREDICTED = 256
# Characters of the training text from which h and c are made for the held-out one.
WARM_UP = 1000
# Parts of the time after which the loss is measured, where an epoch takes longer.
PARTS = 4


def network(recipe, vocab, window):
    """A recipe's network; one that carries h and c if it is to train so, by a window's length."""
    stateful = recipe.stateful and window is not None
    layers = [keras.Input(batch_shape=(1 if stateful else None, window, vocab if recipe.one_hot else 1))]
    for layer in range(recipe.layers):
        every = recipe.stateful or layer + 1 < recipe.layers
        layers.append(keras.layers.LSTM(recipe.hidden, return_sequences=every, stateful=stateful))
        if recipe.dropout:
            layers.append(keras.layers.Dropout(recipe.dropout))
    return keras.Sequential([*layers, keras.layers.Dense(vocab, activation="softmax")])


class Corpus:
    """What is learnt and what is held out, as tokens."""

    def __init__(self, recipe, train, held_out):
        chars = sorted(set(train + held_out))
        tokens = {char: token for token, char in enumerate(chars)}
        self.recipe = recipe
        self.vocab = len(chars)
        self.train, self.held_out = (np.array([tokens[char] for char in text]) for text in (train, held_out))

    def inputs(self, tokens):
        """What the network is fed for tokens."""
        if self.recipe.one_hot:
            return np.eye(self.vocab, dtype=np.float32)[tokens]
        return (tokens / self.vocab).astype(np.float32)[..., None]


class Windows:
    """Shuffled windows, each predicting the character after it."""

    def __init__(self, corpus, seconds):
        self.corpus, self.recipe, self.seconds = corpus, corpus.recipe, seconds
        self.network = network(corpus.recipe, corpus.vocab, corpus.recipe.window)
        self.random = np.random.default_rng(1)
        self.places = None

    def epoch(self):
        """The batches of a pass."""
        window, text = self.recipe.window, self.corpus.train
        starts = self.random.permutation(np.arange(0, len(text) - window, self.recipe.stride))
        for first in range(0, len(starts), self.recipe.batch):
            chosen = starts[first : first + self.recipe.batch]
            yield self.corpus.inputs(text[chosen[:, None] + np.arange(window)]), text[chosen + window]

    def end_epoch(self):
        """Windows leave nothing behind."""

    def losses(self, places):
        """Those of held-out characters, each after a full window, which the training text's end begins."""
        window = self.recipe.window
        text = np.concatenate([self.corpus.train[-window:], self.corpus.held_out])
        chances = []
        for first in range(0, len(places), PREDICTED):
            # Always as many, or the graph would be compiled again.
            chosen = np.resize(places[first : first + PREDICTED], PREDICTED)
            predicted = self.network.predict_on_batch(self.corpus.inputs(text[chosen[:, None] + np.arange(window)]))
            chances.append(predicted[np.arange(PREDICTED), text[chosen + window]])
        return negative_logs(np.concatenate(chances)[: len(places)])

    def evaluate(self):
        """The loss of all held-out characters, or of an even choice of them where all would take too long."""
        if self.places is None:
            every = np.arange(len(self.corpus.held_out))
            # The first compiles the graph, the second is timed.
            self.losses(every[:PREDICTED])
            start = time.perf_counter()
            self.losses(every[:PREDICTED])
            count = int(self.seconds / (time.perf_counter() - start) * PREDICTED)
            self.places = every[:: math.ceil(len(every) / max(count, 1))]
        return self.losses(self.places)


class Stream:
    """A text in order, with h and c carried, predicting every character."""

    def __init__(self, corpus, _seconds):
        self.corpus, self.recipe = corpus, corpus.recipe
        self.network = network(corpus.recipe, corpus.vocab, corpus.recipe.window)
        self.reader = network(corpus.recipe, corpus.vocab, None)

    def epoch(self):
        """The windows of a pass, whose last characters that don't fill one are left out."""
        window, text = self.recipe.window, self.corpus.train
        for first in range(0, len(text) - window, window):
            part = text[first : first + window + 1]
            yield self.corpus.inputs(part[None, :-1]), part[None, 1:]

    def end_epoch(self):
        """The next pass starts from zero."""
        for layer in self.network.layers:
            if isinstance(layer, keras.layers.LSTM):
                layer.reset_states()

    def evaluate(self):
        """The loss of every held-out character, in one unbroken text with the training text's end before it."""
        self.reader.set_weights(self.network.get_weights()[: len(self.reader.weights)])
        text = np.concatenate([self.corpus.train[-WARM_UP:], self.corpus.held_out])
        predicted = self.reader.predict_on_batch(self.corpus.inputs(text[None, :-1]))[0]
        return negative_logs(predicted[np.arange(len(text) - 1), text[1:]])[-len(self.corpus.held_out) :]


def negative_logs(chances):
    """Nats, also where single precision rounded a chance to 0."""
    return -np.log(np.maximum(chances.astype(np.float64), 1e-30))


class Clock:
    """Counts the seconds of training and tells when to measure."""

    def __init__(self, seconds):
        self.limit, self.seconds, self.updates, self.passed = seconds, 0.0, 0, 0

    def learn(self, network, inputs, targets):
        start = time.perf_counter()
        network.train_on_batch(inputs, targets)
        if self.updates:
            self.seconds += time.perf_counter() - start
        self.updates += 1

    def part_is_over(self):
        """Whether a part of the time has ended since this was asked before."""
        passed, self.passed = self.passed, int(self.seconds / self.limit * PARTS)
        return self.passed > passed

    def is_over(self):
        return self.seconds >= self.limit


def moments(data, clock, patience):
    """Trains, and yields the loss whenever it is measured: at each epoch's end, and at parts of the time."""

    def measured(epochs):
        losses = data.evaluate()
        return {
            "seconds": clock.seconds,
            "updates": clock.updates,
            "epochs": epochs,
            "nats": float(losses.mean()),
            "error": float(losses.std() / len(losses) ** 0.5),
            "chars": len(losses),
            "of": len(data.corpus.held_out),
        }

    windows = range(0, len(data.corpus.train) - data.recipe.window, data.recipe.stride)
    batches = math.ceil(len(windows) / data.recipe.batch)
    lowest, waited = float("inf"), 0
    for epoch in itertools.count():
        for number, (inputs, targets) in enumerate(data.epoch(), 1):
            clock.learn(data.network, inputs, targets)
            if clock.part_is_over():
                yield measured(epoch + number / batches)
            if clock.is_over():
                return
        data.end_epoch()
        moment = measured(epoch + 1)
        yield moment
        waited = 0 if moment["nats"] < lowest else waited + 1
        lowest = min(lowest, moment["nats"])
        if patience and waited >= patience:
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("--train", type=Path, required=True, help="what is learnt")
    parser.add_argument("--held-out", type=Path, required=True, help="what is measured")
    parser.add_argument("--seconds", type=float, required=True, help="of training")
    parser.add_argument("--eval-seconds", type=float, default=120.0, help="for each time the loss is measured")
    parser.add_argument("--patience", type=int, help="end after so many epochs without a lower loss")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(args.threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(args.threads)
    keras.utils.set_random_seed(1)
    recipe = RECIPES[args.recipe]
    corpus = Corpus(recipe, *(path.read_text(encoding="utf-8") for path in (args.train, args.held_out)))
    data = (Stream if recipe.stateful else Windows)(corpus, args.eval_seconds)
    optimizers = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}
    optimizer = optimizers[recipe.optimizer](recipe.learning_rate)
    data.network.compile(optimizer, keras.losses.SparseCategoricalCrossentropy())
    version = f"Keras {keras.__version__} {keras.backend.backend()}"
    for moment in moments(data, Clock(args.seconds), args.patience):
        print(json.dumps(moment | {"version": version}), flush=True)


if __name__ == "__main__":
    main()
