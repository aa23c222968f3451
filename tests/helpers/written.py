"""Tests that a page names: are they written?"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]


def exists(test: str) -> bool:
    """Tells whether a test of this name, FILE::FUNCTION, is written."""
    file, _, name = test.partition("::")
    path = ROOT / file
    return path.is_file() and any(getattr(node, "name", "") == name for node in ast.parse(path.read_text()).body)
