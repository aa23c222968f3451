"""The noise of airfoils, NASA's measurements, as section 12.5 prepares them; and drawn ones of the same form."""

from pathlib import Path

import numpy as np

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.find.download import BOOK_MIRRORS, fetch
from d2l_jax.data.find.places import download_folder
from d2l_jax.errors import InputError

FILE = "airfoil_self_noise.dat"
SHA256 = "74c75fd71783f1e6b71f8a622b993dc592897a97cd689c5090a07147a1b097b3"
COLUMNS = 6
USED = 1500  # the first rows


def read_airfoil(folder: Path) -> Dataset | None:
    """Reads the measurements in `folder` or in its `tabular` folder; None where the file is in neither.

    Returns:
      X float32 (1500, 5), y float32 (1500, 1), each column standardised over all rows of the file. The test
      examples are the same: the book measures on what it trains on.

    Raises:
      InputError: the file is garbled.
    """
    for spot in (folder, folder / "tabular"):
        if (path := spot / FILE).is_file():
            return prepared(_table(path), "airfoil", f"{FILE} in {spot}")
    return None


def no_airfoil(folder: Path) -> InputError:
    """The error for a folder in which `read_airfoil` finds nothing."""
    return InputError(f"{folder} holds no airfoils; {FILE} is needed")


def fetch_airfoil() -> Path:
    """Downloads the file into `download_folder()` and returns the folder; InputError where that fails."""
    folder = download_folder() / "tabular"
    fetch(FILE, BOOK_MIRRORS, SHA256, folder)
    return folder


def drawn_airfoil(seed: int = 0) -> Dataset:
    """Draws 1503 measurements of the same form: frequency, angle, chord, speed, thickness, and the sound level.

    About half of the level's variance is linear in the five features.

    Returns:
      As `read_airfoil`.
    """
    random = np.random.default_rng(seed)
    rows = USED + 3
    frequency = 200 * 10 ** random.uniform(0, 2, rows)
    angle = random.uniform(0, 22.2, rows)
    chord = random.choice([0.0254, 0.0508, 0.1016, 0.1524, 0.2286, 0.3048], rows)
    speed = random.choice([31.7, 39.6, 55.5, 71.3], rows)
    thickness = 4e-4 * np.exp(2.5 * angle / 22.2 + 0.5 * random.normal(size=rows))
    peak = 20 * np.log10(frequency / (20 * speed)) ** 2
    level = 126 + 0.13 * speed - 40 * chord - 0.3 * angle - 3e-4 * frequency - peak / 4 + 5.5 * random.normal(size=rows)
    table = np.stack([frequency, angle, chord, speed, thickness, level], axis=1)
    return prepared(table, "drawn_airfoil", f"drawn with seed {seed}")


def prepared(table: np.ndarray, name: str, source: str) -> Dataset:
    """Returns the first rows of a table of 5 features and a target, each column standardised over all rows."""
    scaled = ((table - table.mean(0)) / table.std(0)).astype(np.float32)[:USED]
    split = (scaled[:, :-1].copy(), scaled[:, -1:].copy())
    return Dataset(name, split, split, source)


def _table(path: Path) -> np.ndarray:
    try:
        lines = path.read_text().splitlines()
        rows = [[float(cell) for cell in line.split("\t")] for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no table of numbers: {error}") from error
    for number, row in enumerate(rows, 1):
        if len(row) != COLUMNS:
            raise InputError(f"{path}, row {number}: {len(row)} numbers; {COLUMNS}, with tabs between, are right")
    if len(rows) < USED:
        raise InputError(f"{path} holds {len(rows)} rows; {USED} at least are right")
    return np.array(rows)
