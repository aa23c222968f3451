"""Docstrings as this project writes them, turned into reStructuredText for the reference.

Code stands between single backticks, an argument is a line "name: what it is" (or two names), and longer text about one
goes on in indented lines.
"""

import re
from collections.abc import Iterator

NAME = r"[*]*(?:[a-z_]\w*|[A-Z](?:_\w+)?)"  # a word that begins with a capital letter begins a sentence
ARGUMENT = re.compile(rf"^(?P<names>{NAME}(?:, {NAME})*): +(?P<text>\S.*)$")
CODE = re.compile(r"(`[^`]+`)")


def process(app, what, name, obj, options, lines: list[str]) -> None:
    """Replaces the lines of a docstring; what Sphinx calls for each."""
    lines[:] = rewritten(lines)


def signature(app, what, name, obj, options, arguments: str | None, returned: str | None) -> tuple:
    """Returns the signature with arrays called as the code calls them; what Sphinx asks for each."""
    return tuple(text and text.replace("jaxlib._jax.Array", "Array") for text in (arguments, returned))


def skip(app, what, name, obj, skipped: bool, options) -> bool | None:
    """Leaves out the fields of named tuples, which their class explains; what Sphinx asks for each member."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field") else None


def rewritten(lines: list[str]) -> list[str]:
    """Returns the lines as reStructuredText: arguments become a list of terms, code is code, and the rest is text."""
    return list(_blocks(lines))


def _blocks(lines: list[str]) -> Iterator[str]:
    in_argument = in_code = False
    for line in lines:
        argument = ARGUMENT.match(line)
        indented = line.startswith(" ")
        if in_code and (indented or not line.strip()):
            yield line
            continue
        in_code = False
        if line.startswith(":"):  # what napoleon has made of the sections of a docstring
            in_argument = True
            yield escaped(line)
        elif argument:
            in_argument = True
            yield from ("", f"``{argument['names']}``", f"    {escaped(argument['text'])}")
        elif in_argument and indented:
            yield f"    {escaped(line.strip())}"
        elif indented or line.startswith("def "):
            yield from ("", "::", "", f"    {line}")
            in_code = True
        else:
            if in_argument and line.strip():
                yield ""
            in_argument = in_argument and not line.strip()
            yield escaped(line)


def escaped(text: str) -> str:
    """Returns the text with its code between double backticks and without any other markup."""
    parts = CODE.split(text)
    return "".join(f"`{part}`" if CODE.fullmatch(part) else re.sub(r"([*|_\\])", r"\\\1", part) for part in parts)
