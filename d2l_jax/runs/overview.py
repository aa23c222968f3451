"""The rows of `d2l-jax list`: they are computed beforehand, since computing them takes seconds, and loads JAX."""

import json
from pathlib import Path
from typing import Any

from rich.table import Table

Entry = dict[str, Any]
FILE = Path(__file__).with_name("overview.json")


def overview(file: Path = FILE) -> list[Entry]:
    """Returns the row of every case, in the order of the book."""
    return json.loads(file.read_text())


def save(rows: list[Entry], file: Path = FILE) -> None:
    """Writes the rows, each on a line of its own."""
    file.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")


def stale(rows: list[Entry], computed: list[Entry]) -> str:
    """Returns "", or a line that says which rows are not as they are computed, and which command renews them."""
    if rows == computed:
        return ""
    names = dict.fromkeys(row["name"] for row in (*rows, *computed) if row not in rows or row not in computed)
    return f"{FILE.name} is stale ({', '.join(names) or 'the order'}); `make overview` renews it"


def overview_table(rows: list[Entry]) -> Table:
    """Returns the rows as a table for the terminal."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("section", "Chinese edition", "name", "parameters", "data set"):
        table.add_column(heading, justify="right" if heading == "parameters" else "left", no_wrap=True)
    for row in rows:
        parameters = f"{row['parameters']:,}"
        table.add_row(row["section"], row["section_zh"] or "-", row["name"], parameters, row["data"] or "-")
    return table
