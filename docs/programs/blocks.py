"""Blocks of a page that a program writes, between `<!-- COMMAND -->` and `<!-- end ... -->`: `make pages`."""

import re
import sys
from pathlib import Path

from chapters import TABLES

DOCS = Path(__file__).parent.parent
WRITTEN = "make pages: "
BLOCK = re.compile(r"(?P<start><!-- (?P<command>(?!end)[^>]+?) -->\n)(?P<text>.*?)(?P<end><!-- end[^>]*-->)", re.DOTALL)


def block(page: Path, command: str) -> str:
    """Returns the text that stands in a page for the command; KeyError where it has no such block."""
    return {match["command"]: match["text"] for match in BLOCK.finditer(page.read_text())}[command]


def pages() -> list[Path]:
    """Returns the pages that have a block of this program's."""
    written = [path for path in sorted(DOCS.rglob("*.md")) if "_build" not in path.parts]
    written += sorted(DOCS.parent.glob("README*.md"))
    return [path for path in written if f"<!-- {WRITTEN}" in path.read_text()]


def renewed(text: str) -> str:
    """Returns a page's text with its tables as they are made now."""
    return BLOCK.sub(_made, text)


def _made(match: re.Match) -> str:
    if not match["command"].startswith(WRITTEN):
        return match[0]
    name, *arguments = match["command"].removeprefix(WRITTEN).split()
    return f"{match['start']}{TABLES[name](*arguments)}\n{match['end']}"


def main() -> None:
    """Writes every table of every page anew."""
    for page in pages():
        text = page.read_text()
        if (new := renewed(text)) != text:
            page.write_text(new)
            print(f"{page.relative_to(DOCS.parent)} renewed", file=sys.stderr)


if __name__ == "__main__":
    main()
