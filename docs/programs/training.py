"""Training runs that the pages show: `python docs/programs/training.py NAME ...` runs each and stores what it printed.

`--runs FOLDER` stores what runs that are there already wrote, and beside `NAME` what that of the PyTorch twin in
`NAME-torch` did.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from chapters import BOOK, TRAINING

from d2l_jax.catalog import get

BLEU = "bleu"
WORD = "chip"  # the one that section 15.4 asks for
TOLERANCE = 0.02  # other machines add in another order, and training carries that on


def main() -> None:
    """Stores the runs that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", help="cases, as d2l-jax list names them")
    parser.add_argument("--runs", type=Path, help="folder of runs that are there already, each in a folder of its name")
    options = parser.parse_args()
    store([outcome(options.runs / name) if options.runs else run(name) for name in options.names])


def run(name: str, *options: str) -> dict:
    """Trains the case with the book's settings but for the options, and returns what is stored of it."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / name
        subprocess.run([sys.executable, "-m", "d2l_jax", "train", name, *options, "--out", out], check=True)
        return outcome(out)


def outcome(out: Path) -> dict:
    """Returns what is stored of the run in a folder: command, day, versions, the last figures, and the seconds."""
    file = out / "metrics.json"
    metrics = json.loads(file.read_text())
    final = _final(metrics)
    texts = [text for text in metrics.get("texts", []) if text.get(BLEU) is not None]
    return (
        {
            "case": metrics["model"],
            "command": _command(metrics),
            "date": datetime.fromtimestamp(file.stat().st_mtime).date().isoformat(),
            "device": metrics["device"],
            "versions": metrics["versions"],
            "data": {key: value for key, value in metrics["data"].items() if key != "source"},
            "seconds": round(metrics["seconds"]["total"], 1),
            "final": final | ({BLEU: [round(text[BLEU], 3) for text in texts]} if texts else {}),
        }
        | _neighbours(metrics)
        | _twin(out.with_name(f"{out.name}-torch") / "metrics.json")
    )


def _final(metrics: dict) -> dict:
    final = {name: float(f"{value:.4g}") for name, value in metrics["final"].items() if name != "epoch"}
    if "mean_train_loss" in json.loads(BOOK.read_text()).get(metrics["model"], {}):
        losses = [record["train_loss"] for record in metrics["records"]]
        final["mean_train_loss"] = float(f"{sum(losses) / len(losses):.4g}")
    return final


def _neighbours(metrics: dict) -> dict:
    near = {text["given"]: text["made"] for text in metrics.get("texts", []) if text["given"] == WORD}
    return {"neighbours": near} if near else {}


def _command(metrics: dict) -> str:
    """Returns the command with those of its options that are not the book's."""
    case, set_to = get(metrics["model"]), metrics["settings"]
    options = {
        "buckets": (len(set_to.get("widths", [])), 0),
        "batch-size": (set_to["batch_size"], case.batch_size),
        "epochs": (metrics["final"]["epoch"], case.epochs),
    }
    given = [f" --{name} {value}" for name, (value, books) in options.items() if value != books]
    return f"d2l-jax train {metrics['model']}{''.join(given)}"


def _twin(file: Path) -> dict:
    """Returns the figures of the twin's run, if there is one."""
    if not file.exists():
        return {}
    metrics = json.loads(file.read_text())
    seconds = round(metrics["seconds"]["total"], 1)
    twin = {"torch": metrics["versions"]["torch"], "seconds": seconds, "final": _final(metrics)}
    return {"twin": twin | _neighbours(metrics)}


def store(outcomes: list[dict], file: Path = TRAINING) -> None:
    """Writes the runs into the file, in place of older ones of the same cases."""
    before = json.loads(file.read_text()) if file.exists() else []
    runs = {run["case"]: run for run in [*before, *outcomes]}
    file.write_text("[\n" + ",\n".join(json.dumps(runs[name]) for name in sorted(runs)) + "\n]\n")


def differences(stored: dict, printed: dict) -> list[str]:
    """Lists the figures of a stored run that the command no longer prints, each with both values."""
    lines = []
    for name, before in stored["final"].items():
        now = printed["final"].get(name)
        if now is None or not _close(before, now):
            lines.append(f"{stored['case']}, {name}: {before} is stored, `{stored['command']}` prints {now}")
    return lines


def _close(before, now) -> bool:
    if isinstance(before, list):
        return len(before) == len(now) and all(map(_close, before, now))
    return abs(before - now) <= TOLERANCE * max(abs(before), abs(now))


if __name__ == "__main__":
    main()
