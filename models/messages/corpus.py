#!/usr/bin/env python3
"""Writes the texts that models/messages and models/messages-64k are trained on.

    python3 corpus.py SOURCES SMS OUT

SOURCES holds, as checkouts or unpacked archives (the card says which versions were used):

    self_dialogue_corpus    github.com/jfainberg/self_dialogue_corpus
    Topical-Chat            github.com/alexa/Topical-Chat
    oos-eval                github.com/clinc/oos-eval
    task-specific-datasets  github.com/PolyAI-LDN/task-specific-datasets
    Taskmaster              github.com/google-research-datasets/Taskmaster
    tatoeba                 fra.txt and deu.txt of www.manythings.org/anki

SMS is a list of messages, one a line: the UCI SMS Spam Collection without those that are held out.

OUT gets

    choose.txt  every tenth message: what settings are chosen on
    fit.txt     the other messages
    sms.txt     all messages
    pre.txt     conversations that are most like messages, sentences of Tatoeba, and fit.txt three times

Only the standard library is needed. It takes some ten minutes.
"""

import collections
import csv
import io
import json
import math
import pathlib
import random
import re
import sys

# Characters of conversations to take, and the longest line, which is as long as messages are.
TAKEN = 6_000_000
SHARE = 0.6
LONGEST = 200
# Characters that come less often in the messages become the mark.
MIN_COUNT = 4


def lines_of(path):
    return [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def write(path, lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def clean(text):
    return " ".join(text.split())


def read(path):
    return path.read_text(encoding="utf-8", errors="replace")


def self_dialogues(root):
    """What one worker wrote for both sides of a conversation."""
    blocked = set(read(root / "blocked_workers.txt").split())
    for path in sorted(root.rglob("*.csv"), key=lambda path: str(path.relative_to(root)).encode()):
        for row in csv.DictReader(io.StringIO(read(path), newline="")):
            if row.get("WorkerId") in blocked:
                continue
            answers = [key for key in row if key and key.startswith("Answer.sentence")]
            for key in sorted(answers, key=lambda key: int(re.sub(r"\D", "", key) or 0)):
                if row[key]:
                    yield clean(row[key])


def topical_chat(root):
    for name in "valid_freq", "valid_rare", "test_freq", "test_rare":
        for dialogue in json.loads(read(root / f"conversations/{name}.json")).values():
            yield from (clean(turn["message"]) for turn in dialogue["content"])


def clinc(root):
    for part in json.loads(read(root / "data/data_full.json")).values():
        yield from (clean(example[0]) for example in part)


def banking(root):
    for part in "train", "test":
        for row in csv.DictReader(io.StringIO(read(root / f"banking_data/{part}.csv"), newline="")):
            yield clean(row["text"])


def taskmaster(root):
    for path in sorted(root.glob("TM-4-*/data/**/*.json"), key=lambda path: str(path.relative_to(root)).encode()):
        for dialogue in json.loads(read(path)):
            for utterance in dialogue.get("utterances", []):
                if utterance.get("text"):
                    yield clean(utterance["text"])


def plain(text):
    """Typewriter quotes, as phones and radios have them."""
    return text.translate({0x2019: "'", 0x201C: '"', 0x201D: '"'})


class Ngrams:
    """Interpolated counts of characters (Witten and Bell 1991), of order 5."""

    ORDER = 5

    def __init__(self, lines):
        self.counts = [collections.Counter() for _ in range(self.ORDER)]
        self.totals = [collections.Counter() for _ in range(self.ORDER)]
        self.kinds = [collections.Counter() for _ in range(self.ORDER)]
        for line in lines:
            text = self.marked(line)
            for at in range(self.ORDER - 1, len(text)):
                for length in range(self.ORDER):
                    before = text[at - length : at]
                    if not self.counts[length][before + text[at]]:
                        self.kinds[length][before] += 1
                    self.counts[length][before + text[at]] += 1
                    self.totals[length][before] += 1

    def marked(self, line):
        return "\x02" * (self.ORDER - 1) + line + "\x03"

    def bits_per_char(self, line):
        text = self.marked(line)
        bits = 0
        for at in range(self.ORDER - 1, len(text)):
            share = 1 / 200
            for length in range(self.ORDER):
                before = text[at - length : at]
                total = self.totals[length].get(before, 0)
                if not total:
                    break
                kinds = self.kinds[length][before]
                count = self.counts[length].get(before + text[at], 0)
                share = (count + kinds * share) / (total + kinds)
            bits -= math.log2(share)
        return bits / (len(line) + 1)


def most_like(lines, messages, rng):
    """The lines that messages explain best beside the lines themselves (Moore and Lewis 2010)."""
    of_lines, of_messages = Ngrams(rng.sample(lines, 20_000)), Ngrams(messages)
    lines = sorted(lines, key=lambda line: of_messages.bits_per_char(line) - of_lines.bits_per_char(line))
    taken, chars = [], 0
    for line in lines:
        if chars > TAKEN:
            break
        chars += len(line)
        taken.append(line)
    rng.shuffle(taken)
    return taken[: int(len(taken) * SHARE)]


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sources, sms, out = map(pathlib.Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    messages = lines_of(sms)
    choose = messages[9::10]
    fit = [line for at, line in enumerate(messages) if at % 10 != 9]
    counts = collections.Counter(char for line in fit for char in line)
    known = {char for char, count in counts.items() if count >= MIN_COUNT}

    conversations = []
    for reader, name in [
        (self_dialogues, "self_dialogue_corpus"),
        (topical_chat, "Topical-Chat"),
        (clinc, "oos-eval"),
        (banking, "task-specific-datasets"),
        (taskmaster, "Taskmaster"),
    ]:
        lines = list(dict.fromkeys(line for line in reader(sources / name) if 1 <= len(line) <= 300))
        print(f"{name}: {len(lines)} lines, {sum(map(len, lines))} characters", flush=True)
        conversations += lines
    conversations = dict.fromkeys(plain(line).replace("…", "...") for line in conversations)
    conversations = [line for line in conversations if set(line) <= known and len(line) <= LONGEST]
    sentences = []
    for name in "fra.txt", "deu.txt":
        rows = (sources / "tatoeba" / name).read_text(encoding="utf-8").split("\n")
        sentences += [plain(row.split("\t")[0].strip()) for row in rows if "\t" in row]

    rng, held_out = random.Random(1), set(choose)
    pool = sentences + most_like(conversations, fit, rng)
    pool = [line for line in dict.fromkeys(pool) if line and set(line) <= known and line not in held_out]
    pre = pool + fit * 3
    rng.shuffle(pre)
    for name, lines in ("choose", choose), ("fit", fit), ("sms", messages), ("pre", pre):
        write(out / f"{name}.txt", lines)
        print(f"{name}.txt: {len(lines)} lines, {sum(map(len, lines))} characters")


if __name__ == "__main__":
    main()
