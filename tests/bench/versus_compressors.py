#!/usr/bin/env python3
"""Short messages and long texts through known compressors and through charlet, side by side on this machine.

    cargo build --release
    pip install unishox2-py3 smaz-py3 pysmaz2 zstandard brotli
    python tests/bench/versus_compressors.py --train train.txt --messages held-out.txt --model messages.charlet
    python tests/bench/versus_compressors.py --text shakespeare.txt --tail 0.1 --text-model shakespeare.charlet

What isn't installed is left out.

Messages are the lines of a file, each compressed by itself to whole bytes; empty lines are no messages. Dictionaries
are trained on the lines of --train. Without --messages, every tenth line of --train is a message and the others train:
to try settings out. A model that was trained on all of that file knows these messages.

Every compressor gets its best settings for short English text, and saves the headers that its package can save:

  unishox2, smaz, smaz2   their built-in codes. What smaz refuses (a NUL) is counted as it is
  zstd                    level 19, frames without magic number, checksum, size and number of the dictionary
  deflate                 level 9, raw; its dictionary has the 32 KB that it can reach, chosen by zstd's trainer
  brotli                  quality 11 for text, the window with the shortest header; it has a dictionary built in
  xz                      -9e as raw LZMA2, lc=0 and pb=0: better for short text than its defaults
  bzip2                   -9, without its first 10 bytes, that are always the same

A long text is compressed as the commands do it: xz -9e, zstd -19 --long, brotli -11, bzip2 -9. With --tail only the
last part of it is: what a model was not trained on. zstd also gets the text before that part as a dictionary then.

Every message and every text is decompressed, and compared with what it was. Times are medians of the rounds, on one
thread; those of charlet are of the whole command, with its start, and a model's bytes are those of its file.
`kept` is what both sides must have beside the program: a dictionary or a model.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from importlib import metadata
from pathlib import Path

DICTIONARIES = {"16 KB": 1 << 14, "256 KB": 1 << 18}
# How far back deflate can look.
DEFLATE_WINDOW = 1 << 15
# The largest window that zstd's decompressor takes without being asked.
LONG_WINDOW = 27
# The first bytes of every file of bzip2 -9 that isn't empty: "BZh9" and the mark of a block.
BZIP2_START = b"BZh91AY&SY"

# A compressor in this process: its name, `compress(text)` and `decompress(bytes, room)`, and the bytes it keeps.
Codec = namedtuple("Codec", ["name", "compress", "decompress", "kept"], defaults=[0])
# What came of a round: bytes, seconds both ways, messages that were refused, and that came back wrong.
Round = namedtuple("Round", ["bytes", "compress", "decompress", "refused", "wrong"])


class Failed(Exception):
    """Something can't be measured; says why."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def on_bytes(name, compress, decompress, kept=0):
    """A compressor of bytes, as one of text."""
    return Codec(
        name,
        lambda text: compress(text.encode()),
        lambda packed, room: decompress(packed, room).decode(),
        kept,
    )


def unishox2(_):
    import unishox2

    yield Codec("unishox2", lambda text: unishox2.compress(text)[0], unishox2.decompress)


def smaz(_):
    import smaz

    yield Codec("smaz", smaz.compress, lambda packed, _: smaz.decompress(packed))


def smaz2(_):
    import pysmaz2

    # At most two bytes for one: short runs of other characters take a byte of length each.
    yield on_bytes("smaz2", lambda raw: pysmaz2.compress(raw, 2 * len(raw) + 64), pysmaz2.decompress)


def zstd(train):
    import zstandard

    frame = zstandard.FORMAT_ZSTD1_MAGICLESS
    parameters = zstandard.ZstdCompressionParameters(
        compression_level=19, format=frame, write_content_size=0, write_checksum=0, write_dict_id=0
    )

    def codec(name, dictionary=None):
        if dictionary:
            dictionary.precompute_compress(level=19)
        packer = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters)
        unpacker = zstandard.ZstdDecompressor(dict_data=dictionary, format=frame)
        kept = len(dictionary.as_bytes()) if dictionary else 0

        def decompress(packed, room):
            return unpacker.decompress(packed, max_output_size=room)

        return on_bytes(name, packer.compress, decompress, kept)

    yield codec("zstd -19")
    for name, size in DICTIONARIES.items():
        try:
            dictionary = zstandard.train_dictionary(size, train, level=19)
        except zstandard.ZstdError as error:
            say(f"zstd with a dictionary of {name} is left out: {error}. It needs more lines in --train")
            continue
        yield codec(f"zstd -19, dictionary of {name}", dictionary)


def deflate(train):
    import zlib

    import zstandard

    def codec(name, dictionary=b""):
        # Copies know the dictionary already.
        fresh = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zdict=dictionary)
        fresh_back = zlib.decompressobj(-zlib.MAX_WBITS, zdict=dictionary)

        def compress(raw):
            packer = fresh.copy()
            return packer.compress(raw) + packer.flush()

        def decompress(packed, _):
            unpacker = fresh_back.copy()
            return unpacker.decompress(packed) + unpacker.flush()

        return on_bytes(name, compress, decompress, len(dictionary))

    yield codec("deflate -9")
    try:
        dictionary = zstandard.train_dictionary(DEFLATE_WINDOW, train, level=19).as_bytes()
    except zstandard.ZstdError as error:
        say(f"deflate with a dictionary is left out: {error}. It needs more lines in --train")
    else:
        yield codec("deflate -9, dictionary of 32 KB", dictionary[-DEFLATE_WINDOW:])


def brotli(_):
    import brotli

    def compress(raw):
        return brotli.compress(raw, mode=brotli.MODE_TEXT, quality=11, lgwin=16)

    yield on_bytes("brotli -11", compress, lambda packed, _: brotli.decompress(packed))


def xz(_):
    import lzma

    # Tables for the largest window would take most of the time.
    lzma2 = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "pb": 0, "dict_size": 1 << 16}
    how = {"format": lzma.FORMAT_RAW, "filters": [lzma2]}
    yield on_bytes(
        "xz -9e", lambda raw: lzma.compress(raw, **how), lambda packed, _: lzma.decompress(packed, **how)
    )


def bzip2(_):
    import bz2

    yield on_bytes(
        "bzip2 -9",
        lambda raw: bz2.compress(raw).removeprefix(BZIP2_START),
        lambda packed, _: bz2.decompress(BZIP2_START + packed),
    )


def long_zstd(before):
    import zstandard

    parameters = zstandard.ZstdCompressionParameters(
        compression_level=19, window_log=LONG_WINDOW, enable_ldm=1, write_content_size=1
    )

    def codec(name, dictionary=None):
        packer = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters)
        unpacker = zstandard.ZstdDecompressor(dict_data=dictionary)
        kept = len(dictionary.as_bytes()) if dictionary else 0
        return on_bytes(name, packer.compress, lambda packed, _: unpacker.decompress(packed), kept)

    yield codec("zstd -19 --long")
    if before:
        raw = zstandard.DICT_TYPE_RAWCONTENT
        yield codec("zstd -19 --long, after the text before", zstandard.ZstdCompressionDict(before, dict_type=raw))


def long_brotli(_):
    import brotli

    def compress(raw):
        return brotli.compress(raw, mode=brotli.MODE_TEXT, quality=11, lgwin=24)

    yield on_bytes("brotli -11", compress, lambda packed, _: brotli.decompress(packed))


def long_xz(_):
    import lzma

    preset = 9 | lzma.PRESET_EXTREME
    yield on_bytes(
        "xz -9e", lambda raw: lzma.compress(raw, preset=preset), lambda packed, _: lzma.decompress(packed)
    )


def long_bzip2(_):
    import bz2

    yield on_bytes("bzip2 -9", bz2.compress, lambda packed, _: bz2.decompress(packed))


# Who compresses messages, from their training lines, and who a text, from the text before it; the package each needs.
OF_MESSAGES = {
    unishox2: "unishox2-py3",
    smaz: "smaz-py3",
    smaz2: "pysmaz2",
    zstd: "zstandard",
    deflate: "zstandard",
    brotli: "brotli",
    xz: None,
    bzip2: None,
}
OF_TEXT = {long_xz: None, long_zstd: "zstandard", long_brotli: "brotli", long_bzip2: None}


def available(makers, known):
    """The compressors that can be measured here."""
    codecs = []
    for make, package in makers.items():
        try:
            codecs += make(known)
        except ImportError as error:
            how = f"pip install {package}" if package else "a Python that was built with it"
            say(f"{make.__name__.removeprefix('long_')} is left out: {error}. To get it: {how}")
    return codecs


def versions():
    """Of Python and all packages that are here."""
    found = [f"Python {platform.python_version()}"]
    for package in sorted({*OF_MESSAGES.values(), *OF_TEXT.values()} - {None}):
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return found


def one_round(codec, messages, room):
    """All messages there and back."""

    def compress(message):
        try:
            return codec.compress(message)
        except ValueError:
            return None

    start = time.perf_counter()
    packed = [compress(message) for message in messages]
    middle = time.perf_counter()
    back = [None if each is None else codec.decompress(each, room) for each in packed]
    end = time.perf_counter()
    size = sum(len(message.encode() if each is None else each) for message, each in zip(messages, packed))
    wrong = sum(each is not None and each != message for message, each in zip(messages, back))
    return Round(size, middle - start, end - middle, packed.count(None), wrong)


class Charlet:
    """The command with a model, measured like a compressor."""

    def __init__(self, program, model):
        self.program, self.model = str(Path(program).resolve()), model
        self.name, self.kept = f"charlet {model.stem}", model.stat().st_size

    def run(self, *arguments):
        """What a command prints, and its seconds."""
        command = [self.program, *map(str, arguments)]
        environment = os.environ | {"RAYON_NUM_THREADS": "1"}
        start = time.perf_counter()
        done = subprocess.run(command, check=False, capture_output=True, env=environment)
        seconds = time.perf_counter() - start
        if done.returncode:
            lines = done.stderr.decode().strip().splitlines() or [f"exit status {done.returncode}"]
            raise Failed(f"charlet {arguments[0]}: {lines[0]}")
        return done.stdout, seconds

    def check(self):
        """Fails where the command is too old to compress."""
        for command in ("compress", "decompress"):
            try:
                self.run(command, "--help")
            except Failed as error:
                raise Failed(f"{error}. {self.program} has no `{command}`: build a newer one") from error

    def messages(self, messages, _):
        """A round of messages. They travel as lines of hex; the bytes that the command tells must be as many."""
        with tempfile.TemporaryDirectory() as folder:
            plain, packed, back = (Path(folder, name) for name in ("plain.txt", "packed.txt", "back.txt"))
            write(plain, "".join(f"{message}\n" for message in messages))
            how = ["--lines", "--raw"]
            told = json.loads(self.run("compress", self.model, plain, *how, "--json")[0])
            _, compress = self.run("compress", self.model, plain, *how, "--hex", "-o", packed)
            _, decompress = self.run("decompress", self.model, packed, *how, "--hex", "-o", back)
            size = sum(len(bytes.fromhex(line)) for line in lines_of(packed))
            read = lines_of(back)
        counted = {"messages": len(messages), "utf8_bytes": sum(map(utf8_bytes, messages)), "bytes": size}
        for key, own in counted.items():
            if told.get(key) != own:
                raise Failed(f"charlet compress --json: {key} is {told.get(key)}, counted are {own}")
        if len(read) != len(messages):
            raise Failed(f"charlet decompress: {len(read)} lines of {len(messages)}")
        wrong = sum(one != other for one, other in zip(messages, read))
        return Round(size, compress, decompress, 0, wrong)

    def text(self, texts, _):
        """A round of one text."""
        with tempfile.TemporaryDirectory() as folder:
            plain, packed, back = (Path(folder, name) for name in ("plain.txt", "packed", "back.txt"))
            write(plain, texts[0])
            _, compress = self.run("compress", self.model, plain, "--raw", "-o", packed)
            _, decompress = self.run("decompress", self.model, packed, "--raw", "-o", back)
            wrong = back.read_bytes() != plain.read_bytes()
            return Round(packed.stat().st_size, compress, decompress, 0, int(wrong))


def write(path, text):
    path.write_text(text, encoding="utf-8", newline="\n")


def lines_of(path):
    """The lines of a file, of which only a newline ends one, as charlet has it."""
    return path.read_bytes().decode().removesuffix("\n").split("\n")


def utf8_bytes(text):
    return len(text.encode())


def charlets(args, models, measure):
    """Models as compressors: each with its `measure`; none where the command can't do it."""
    found = []
    for model in models:
        charlet = Charlet(args.charlet, model)
        try:
            charlet.check()
        except Failed as error:
            say(f"charlet is left out: {error}")
            return []
        found.append((charlet, getattr(charlet, measure)))
    return found


def measure(codecs, models, messages, rounds):
    """All compressors over the same messages: rounds alternate, and times are their medians."""
    room = max(map(utf8_bytes, messages)) + 64
    ways = [(codec, lambda all_, room, codec=codec: one_round(codec, all_, room)) for codec in codecs] + models
    results = {}
    for _ in range(rounds):
        for who, way in ways:
            try:
                results.setdefault(who, []).append(way(messages, room))
            except Exception as error:  # A package's faults leave it out, and don't end the others.
                say(f"{who.name} is left out: {error}")
                ways = [other for other in ways if other[0] is not who]
                results.pop(who, None)
    return [row(who, all_) for who, all_ in results.items()]


def row(who, rounds):
    return {
        "name": who.name,
        "bytes": rounds[0].bytes,
        "compress_seconds": statistics.median(each.compress for each in rounds),
        "decompress_seconds": statistics.median(each.decompress for each in rounds),
        "kept": who.kept,
        "refused": rounds[0].refused,
        "wrong": max(each.wrong for each in rounds),
    }


def split_messages(args):
    """The lines that train and those that are messages."""
    train = messages_of(args.train)
    if args.messages:
        messages = messages_of(args.messages)
        if known := len(set(messages) & set(train)):
            say(f"note: {known} of {len(messages)} messages are in --train, too: dictionaries and models know them")
        return train, messages
    held_out, train = train[::10], [line for number, line in enumerate(train) if number % 10]
    say("note: every tenth line of --train is a message; a model that was trained on all of it knows them")
    return train, held_out


def messages_of(path):
    return [line for line in read(path).split("\n") if line]


def split_text(args):
    """The text before the part that is compressed, and that part."""
    text = read(args.text)
    kept = len(text) - round(len(text) * args.tail)
    return text[:kept], text[kept:]


def read(path):
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        sys.exit(f"{path} is not UTF-8 from byte offset {error.start} on: convert it first")
    if not text.strip("\n"):
        sys.exit(f"{path} has no text: name another file")
    return text


def table(heads, rows, bold):
    """Rows in Markdown, aligned; in a terminal charlet's stand out."""
    cells = [heads, *rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    lines = []
    for line in cells:
        first, *rest = (
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths))
        )
        text = f"| {' | '.join([first, *rest])} |"
        lines.append(f"\x1b[1m{text}\x1b[m" if bold and first.startswith("charlet") else text)
    marks = [("-" * (width - 1) + ":") if column else "-" * width for column, width in enumerate(widths)]
    return "\n".join([lines[0], f"| {' | '.join(marks)} |", *lines[1:]])


def notes(rows):
    """What the table must not hide."""
    for each in rows:
        if each["refused"]:
            say(f"{each['name']}: messages refused, and counted as they are: {each['refused']}")
        if each["wrong"]:
            say(f"{each['name']}: not given back as they were: {each['wrong']}. Its figures are worth nothing")


def messages_part(args):
    """Measures messages."""
    train, messages = split_messages(args)
    codecs = available(OF_MESSAGES, [line.encode() for line in train])
    rows = measure(codecs, charlets(args, args.model, "messages"), messages, args.rounds)
    count, size = len(messages), sum(map(utf8_bytes, messages))
    if not args.json:
        heads = ["messages", "bytes each", "of UTF-8", "compress, us", "decompress, us", "kept, bytes"]
        body = [["as they are", f"{size / count:.1f}", "1.000", "", "", ""]]
        body += [
            [
                each["name"],
                f"{each['bytes'] / count:.1f}",
                f"{each['bytes'] / size:.3f}",
                f"{each['compress_seconds'] / count * 1e6:.1f}",
                f"{each['decompress_seconds'] / count * 1e6:.1f}",
                f"{each['kept']:,}" if each["kept"] else "",
            ]
            for each in rows
        ]
        print(f"{count} messages, {size:,} bytes of UTF-8; {len(train)} lines to train on\n")
        print(table(heads, body, args.bold), end="\n\n", flush=True)
    return {"count": count, "utf8_bytes": size, "train": len(train), "compressors": rows}


def text_part(args):
    """Measures a long text."""
    before, text = split_text(args)
    codecs = available(OF_TEXT, before.encode())
    rows = measure(codecs, charlets(args, args.text_model, "text"), [text], args.rounds)
    chars, size = len(text), utf8_bytes(text)
    if not args.json:
        heads = ["text", "bytes", "bits/char", "compress, s", "decompress, s", "kept, bytes"]
        body = [["as it is", f"{size:,}", f"{size * 8 / chars:.3f}", "", "", ""]]
        body += [
            [
                each["name"],
                f"{each['bytes']:,}",
                f"{each['bytes'] * 8 / chars:.3f}",
                f"{each['compress_seconds']:.3f}",
                f"{each['decompress_seconds']:.3f}",
                f"{each['kept']:,}" if each["kept"] else "",
            ]
            for each in rows
        ]
        print(f"{chars:,} characters, {size:,} bytes of UTF-8\n")
        print(table(heads, body, args.bold), end="\n\n", flush=True)
    return {"chars": chars, "utf8_bytes": size, "before": len(before), "compressors": rows}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--charlet", default="target/release/charlet", help="the command to measure")
    parser.add_argument("--train", type=Path, help="lines that dictionaries are trained on")
    parser.add_argument("--messages", type=Path, help="lines to compress [default: every tenth of --train]")
    parser.add_argument("--model", type=Path, nargs="+", default=[], help="charlet's models for messages")
    parser.add_argument("--text", type=Path, help="a long text to compress")
    parser.add_argument("--tail", type=float, default=1.0, help="compress this share of --text only, its end")
    parser.add_argument("--text-model", type=Path, nargs="+", default=[], help="charlet's models for the text")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON, in bytes and seconds for all messages")
    args = parser.parse_args()
    if not args.train and not args.text:
        parser.error("there is nothing to measure: name messages with --train, or a text with --text")
    if (args.messages or args.model) and not args.train:
        parser.error("dictionaries need lines to be trained on: name them with --train")
    if args.text_model and not args.text:
        parser.error("models for a text need one: name it with --text")
    if not 0 < args.tail <= 1:
        parser.error("--tail is a share of the text, like 0.1")
    if args.rounds < 1:
        parser.error("--rounds: at least one")
    for path in filter(None, [args.train, args.messages, args.text, *args.model, *args.text_model]):
        if not path.is_file():
            parser.error(f"{path} is missing")
    if (args.model or args.text_model) and not Path(args.charlet).is_file():
        parser.error(f"{args.charlet} is missing: build it with cargo build --release")
    args.bold = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return args


def main():
    args = arguments()
    report = {"versions": versions(), "rounds": args.rounds}
    if not args.json:
        print(f"medians of {args.rounds} rounds, one thread; {', '.join(report['versions'])}", flush=True)
    parts = [("messages", messages_part, args.train, args.model), ("text", text_part, args.text, args.text_model)]
    complete = True
    for name, part, wanted, models in parts:
        if not wanted:
            continue
        rows = (report.setdefault(name, part(args)))["compressors"]
        notes(rows)
        measured = sum(each["name"].startswith("charlet") for each in rows)
        complete &= measured == len(models) and not any(each["wrong"] for each in rows)
    if args.json:
        print(json.dumps(report))
    sys.exit(0 if complete else 1)


if __name__ == "__main__":
    main()
