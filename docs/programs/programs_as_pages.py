"""Programs in the percent format, which run as they stand, as pages beside the others."""

from pathlib import Path

import jupytext

INDEX = """# The study notes

The project began from four sets of study notes and one section of the book. Each of their programs and exercises is a
short program of its own in `examples/notes/`, in JAX first and beside PyTorch: `python examples/notes` lists them,
`python examples/notes A7 3.6.1` runs some, and each file runs by itself. The pages show the programs as they are; they
are not run when this site is built.

"""
EMPTY = "No program is there yet.\n"


def write(programs: Path, pages: Path) -> None:
    """Writes a notebook for each program, and an index of them, into the folder `pages`; what is old there goes."""
    pages.mkdir(exist_ok=True)
    names = sorted(path.stem for path in programs.glob("*.py") if not path.stem.startswith("_"))
    for old in pages.glob("*.*"):
        if old.stem not in {*names, "index"}:
            old.unlink()
    for name in names:
        notebook = jupytext.read(programs / f"{name}.py", fmt="py:percent")
        notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        _replace(pages / f"{name}.ipynb", jupytext.writes(notebook, fmt="ipynb"))
    answers = ["../notes"] if pages.with_suffix(".md").exists() else []  # the page of what they print
    listed = "\n".join(["```{toctree}", ":maxdepth: 1", "", *answers, *names, "```", ""]) if names else EMPTY
    _replace(pages / "index.md", INDEX + listed)


def _replace(path: Path, text: str) -> None:
    """Writes the file where its text differs, so that Sphinx reads again only what is new."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
