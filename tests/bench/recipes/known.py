"""Four recipes for character-level LSTMs that many have followed in Keras, as numbers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How a recipe reads its data and what it trains."""

    # Which of the command line's files it learns.
    data: str
    layers: int
    hidden: int
    dropout: float
    # Windows that are learnt at once, characters in each, and from one's start to the next one's.
    batch: int
    window: int
    stride: int
    optimizer: str
    learning_rate: float
    # Of one-hot vectors, or of the characters' numbers over their count.
    one_hot: bool = True
    lowercase: bool = False
    # A list of lines, joined for Keras.
    lines: bool = False
    # In order, with h and c carried and a loss at every character; else shuffled, with one at the window's end.
    stateful: bool = False


RECIPES = {
    "guide": Recipe("text", 2, 512, 0.2, 128, 20, 3, "rmsprop", 0.001),
    # Where it is told, batches are of 30 to 128 windows. 128 is charlet's, and makes the fullest use of a processor.
    "alice": Recipe("alice", 3, 700, 0.2, 128, 100, 1, "adam", 0.001, one_hot=False, lowercase=True),
    "quijote": Recipe("text", 1, 500, 0.0, 1, 100, 100, "adam", 0.001, stateful=True),
    "names": Recipe("names", 1, 128, 0.0, 128, 40, 3, "rmsprop", 0.01, lines=True),
}
