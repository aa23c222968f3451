"""Writes docs/parting.md, where the two frameworks part, from docs/parting.toml; `make parting` runs it."""

import tomllib
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1]
HEAD = """# Where the two frameworks part

Behaviour that a port from PyTorch to Flax meets. Written by `make parting` from `docs/parting.toml`; the test beside
each line runs both frameworks, or this project's answer to it, and fails when the behaviour changes.
Versions: {versions}.
"""


def table() -> dict[str, Any]:
    """Returns the versions and the rows."""
    return tomllib.loads((DOCS / "parting.toml").read_text())


def page(told: dict[str, Any]) -> str:
    """Returns the page: a part for each topic, a paragraph for each row."""
    parts = [HEAD.format(versions=told["versions"])]
    for topic in dict.fromkeys(row["topic"] for row in told["row"]):
        parts.append(f"## {topic}\n")
        for row in (row for row in told["row"] if row["topic"] == topic):
            parts.append(f"- {row['behaviour']}\n  Source: {row['source']}.\n  Test: `{row['test']}`\n")
    return "\n".join(parts)


if __name__ == "__main__":
    (DOCS / "parting.md").write_text(page(table()))
