"""Trains a preset with the command `charlet` for a given time and measures what came of it."""

import json
import os
import signal
import subprocess
import time
import tomllib
from pathlib import Path

# More than there is time for.
EPOCHS = 1_000_000
# Seconds that charlet may take to end a batch and to save, when it is told to stop.
GRACE = 120


class Failed(Exception):
    """A side that can't be measured; says why."""


def last_line(log):
    """The last thing said in a log."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def departures(recipe, config, said):
    """Where a preset departs from its recipe: what it tells itself, and the settings that differ."""
    told = [line.removeprefix("departs").strip() for line in said if line.startswith("departs")]
    network, optimizer, training = config["network"], config["optimizer"], config["training"]
    settings = {
        "layers": (network["num_layers"], recipe.layers),
        "hidden": (network["hidden_size"], recipe.hidden),
        "dropout": (network["dropout"], recipe.dropout),
        "weight dropout": (network["weight_dropout"], 0.0),
        "embedding dropout": (network["embedding_dropout"], 0.0),
        "optimizer": (optimizer["kind"], recipe.optimizer),
        "learning rate": (optimizer["learning_rate"], recipe.learning_rate),
        "weight decay": (optimizer["weight_decay"], 0.0),
        "gradients' norm": (optimizer.get("clip_norm"), None),
        "batch": (training["batch_size"], recipe.batch),
    }
    if not recipe.lines:
        settings["window"] = (training["window"], recipe.window)
    found = [f"{name} {own}, recipe: {theirs}" for name, (own, theirs) in settings.items() if own != theirs]
    return told + found


class Charlet:
    """The command, and how to run it."""

    def __init__(self, program, threads):
        self.program = str(Path(program).resolve())
        self.environment = os.environ | {"RAYON_NUM_THREADS": str(threads)}

    def say(self, *arguments):
        """What a command of charlet prints."""
        command = [self.program, *map(str, arguments)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=self.environment)
        if done.returncode:
            raise Failed(f"charlet {arguments[0]}: {done.stderr.strip() or f'exit status {done.returncode}'}")
        return done.stdout

    def train(self, data, preset, out, seconds):
        """Trains for a time, then stops as with Ctrl-C; what was printed, and the seconds it took in all."""
        command = [self.program, "train", data.train, "--val", data.held_out, "--preset", preset]
        command += ["--epochs", str(EPOCHS), "--out", out, "--force"]
        log, start = out.with_suffix(".log"), time.perf_counter()
        with log.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=self.environment)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
                process.wait(GRACE)
            finally:
                process.kill()
                process.wait()
        # 130 is a training that was stopped and saved.
        if process.returncode not in (0, 130):
            raise Failed(f"charlet train: {last_line(log)}")
        return log.read_text(encoding="utf-8").splitlines(), time.perf_counter() - start

    def evaluate(self, model, data):
        """The loss of the whole held-out part, run as on a chip."""
        loss = json.loads(self.say("eval", model, data.held_out, "--json"))
        return {"nats": loss["nats_per_char"], "chars": loss["chars"]}

    def measure(self, recipe, data, preset, folder, seconds):
        """The loss after a time: of the best epoch's model, or if less of the last moment's, as integers."""
        out = folder / f"{preset}-charlet"
        said, seconds = self.train(data, preset, out, seconds)
        config = tomllib.loads((out / "config.toml").read_text(encoding="utf-8"))
        if config["schedule"]["kind"] != "constant":
            raise Failed(f"preset {preset}: its learning rate depends on --epochs, which time decides here")
        lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        epochs = [json.loads(line) for line in lines]
        best = min(epochs, key=lambda epoch: epoch["validation_nats_per_char"], default=None)
        model, last = out / f"{data.train.stem}.charlet", out / "last-i8.charlet"
        reached = {"seconds": seconds, "epochs": len(epochs), "which": "last moment"}
        results = []
        if best is None:
            # The model of a run without an epoch is of its last moment as well.
            results.append(reached | self.evaluate(model, data))
        else:
            at = {"seconds": best["seconds"], "epochs": best["epoch"], "which": "best epoch"}
            results.append(at | self.evaluate(model, data))
            self.say("quantize", out / "last.safetensors", "--to", "i8", "-o", last)
            results.append(reached | {"which": "last moment, i8"} | self.evaluate(last, data))
        return min(results, key=lambda result: result["nats"]) | {
            "trained_for": seconds,
            "departures": departures(recipe, config, said),
            "version": self.say("--version").strip(),
        }
