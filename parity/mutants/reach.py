"""The places that each case reaches, and how long its check takes: asked once, then read from a cache."""

import hashlib
import json
import platform
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from d2l_jax.data.find.places import download_folder
from d2l_jax.write import replacing
from parity.mutants.workers import Answer, Job, Workers

RECORDING = ("changes.py", "places.py", "instrument.py", "recording.py")
PATIENCE = 900.0  # seconds for a case that is correct
WEEK = 7 * 24 * 3600.0


@dataclass(frozen=True)
class Reach:
    """The places that the check of a case reaches, by their marks.

    seconds: of the quick check
    problem: empty where the case passes unchanged; only then can it tell anything
    """

    case: str
    seconds: float
    marks: frozenset[str]
    problem: str = ""


class Cache:
    """A folder in the user's cache, of this very source: the places that each case reaches, and PyTorch's runs.

    What belongs to another source is deleted after a week.
    """

    def __init__(self, root: Path, folder: Path | None = None):
        all_of_them = folder or download_folder() / "mutants"
        self.folder = all_of_them / _digest(root)
        for other in all_of_them.glob("*"):
            if other != self.folder and time.time() - other.stat().st_mtime > WEEK:
                shutil.rmtree(other)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / "reached.json"
        self.records: dict[str, dict] = json.loads(self.path.read_text()) if self.path.exists() else {}

    def reach(self, case: str) -> Reach | None:
        """Returns what is known of a case."""
        record = self.records.get(case)
        if record is None:
            return None
        problem = "" if record["status"] == "pass" else record.get("detail") or record["status"]
        return Reach(case, record.get("seconds", 0.0), frozenset(record.get("reached", ())), problem)

    def add(self, case: str, answer: Answer) -> None:
        """Keeps the answer of a worker, and writes the file."""
        self.records[case] = answer[-1]
        with replacing(self.path) as part:
            part.write_text(json.dumps(self.records))


def recorded_cases(names: Sequence[str], files: Sequence[str], workers: Workers, cache: Cache) -> Iterator[Reach]:
    """Returns the reach of each case, those from the cache first."""
    unknown = []
    for name in names:
        reach = cache.reach(name)
        if reach is None:
            unknown.append(name)
        else:
            yield reach

    def task(name: str) -> Job:
        return {"record": name, "files": list(files), "folder": str(cache.folder), "timeouts": [PATIENCE]}

    for name, answer in workers.perform(unknown, task):
        cache.add(name, answer)
        reach = cache.reach(name)
        assert reach is not None
        yield reach


def _digest(root: Path) -> str:
    """Returns a hash of all of Flax's side, of what records it, and of the versions that run it."""
    digest = hashlib.sha256(platform.python_version().encode())
    for package in ("jax", "flax", "optax", "torch"):
        digest.update(f"{package} {version(package)}".encode())
    here = Path(__file__).parent
    for file in (*sorted((root / "d2l_jax").rglob("*.py")), *(here / name for name in RECORDING)):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:20]
