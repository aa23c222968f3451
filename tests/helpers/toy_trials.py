"""Objectives of no cost for studies in processes; a module of its own, which the processes can load."""

import math
import os
import signal
import time
from pathlib import Path


def slope(config, report):
    """Reports the hyperparameter x after each of four epochs, less a little."""
    for epoch in range(1, config.get("max_epochs", 4) + 1):
        report(config["x"] - 0.001 * epoch)


def accidents(config, report):
    """Is NaN, raises, dies, says nothing, or is well."""
    report(0.5)
    match config["x"]:
        case "nan":
            report(math.nan)
            time.sleep(60)
        case "raises":
            raise ValueError("no such\nthing")
        case "dies":
            os.kill(os.getpid(), signal.SIGKILL)
    report(0.25)


def silent(config, report):
    """Reports nothing."""


class Leaving:
    """Writes its process's number into a folder, reports what x is, and goes on for a minute."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __call__(self, config, report):
        (self.folder / f"{config['x']}").write_text(str(os.getpid()))
        for _ in range(600):
            report(config["x"])
            time.sleep(0.1)
