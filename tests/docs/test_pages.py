"""The pages say what is true: links lead somewhere, commands and names exist, tables are what the programs write."""

import ast
import re
from importlib import import_module
from inspect import isclass, signature
from itertools import zip_longest
from pathlib import Path

import blocks
import pytest
from blocks import BLOCK, DOCS, WRITTEN, renewed

from d2l_jax import algorithms, models
from d2l_jax.catalog import CASES

ROOT = DOCS.parent
SKIPPED = {"_build", "notes"}  # written by the build
PAGES = [path for path in sorted(DOCS.rglob("*.md")) if SKIPPED.isdisjoint(path.relative_to(DOCS).parts)]
TEXTS = [*PAGES, ROOT / "README.md", ROOT / "README.zh.md", ROOT / "CONTRIBUTING.md"]
FENCE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
COMMAND = re.compile(r"(?<!from )(?:^|(?<=[`!(\s]))(?P<command>(?:d2l-jax|parity) [a-z][^`#\n]*)")
SUBCOMMANDS = {
    "d2l-jax": {"list", "show", "train", "search", "compare", "predict", "data"},
    "parity": {"check", "bench", "convert", "record", "compare", "selftest", "mutants"},
}
NAMED = {"show", "train", "search", "check", "bench", "record"}  # the subcommands that take names of cases
NAMES = {case.name for case in CASES}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def broken_links(path: Path, text: str) -> list[str]:
    """Returns the links of a page that lead to no file, or to no heading of it."""
    targets = (match["target"] for match in LINK.finditer(FENCE.sub("", text)))
    return [target for target in targets if "://" not in target and not leads_somewhere(path, target)]


def leads_somewhere(path: Path, target: str) -> bool:
    file, _, heading = target.partition("#")
    page = (path.parent / file).resolve() if file else path
    return page.exists() and (not heading or heading in headings(page.read_text()))


def headings(text: str) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub and MyST make them."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def unknown(text: str) -> list[str]:
    """Returns the commands of a page whose subcommand or whose case does not exist."""
    wrong = []
    for match in COMMAND.finditer(text):
        program, subcommand, *words = match["command"].replace(":", " ").split()
        names = [word for word in words if re.fullmatch(r"[a-z][a-z0-9-]*", word)]
        first = names[:1] if words and names and words[0] == names[0] else []
        if subcommand not in SUBCOMMANDS[program] or (subcommand in NAMED and not NAMES.issuperset(first)):
            wrong.append(match["command"])
    return wrong


def missing_imports(code: str) -> list[str]:
    """Returns what a cell imports and is not there."""
    plain = "\n".join("pass" if line.lstrip().startswith(("!", "%")) else line for line in code.splitlines())
    wrong = []
    for node in ast.walk(ast.parse(plain)):
        if isinstance(node, ast.ImportFrom) and node.module:
            module = import_module(node.module)
            wrong += [f"{node.module}.{name.name}" for name in node.names if not is_there(module, name.name)]
    return wrong


def is_there(module, name: str) -> bool:
    if hasattr(module, name):
        return True
    try:
        return bool(import_module(f"{module.__name__}.{name}"))
    except ModuleNotFoundError:
        return False


def cells(text: str) -> list[str]:
    """Returns the Python code of a page, without the options of its cells."""
    kinds = ("{code-cell}", "python")
    blocks = [match["code"] for match in FENCE.finditer(text) if match["kind"].startswith(kinds)]
    return [re.sub(r"\A(:.*\n)+", "", code) for code in blocks if not code.startswith("%%")]


def stale(text: str) -> list[str]:
    """Returns what stands in a page's tables, and what the programs write in its place."""
    tables = zip(BLOCK.finditer(text), BLOCK.finditer(renewed(text)), strict=True)
    lines = [pair for tables_of in tables for pair in zip_longest(*(table["text"].splitlines() for table in tables_of))]
    return [f"{there} stands, {anew} is right" for pair in lines for there, anew in parted(*pair)]


def parted(there: str | None, anew: str | None) -> list[tuple[str | None, ...]]:
    """Returns the cells in which two rows differ, or both whole where one has others."""
    if there is None or anew is None or there.count("|") != anew.count("|"):
        return [(there, anew)]
    cells = zip(there.split("|"), anew.split("|"))
    return [(old.strip(), new.strip()) for old, new in cells if old != new]


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_links_lead_somewhere(path):
    assert broken_links(path, path.read_text()) == []


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_commands_exist(path):
    assert unknown(path.read_text()) == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_cells_import_what_is_there(path):
    assert [name for code in cells(path.read_text()) for name in missing_imports(code)] == []


@pytest.mark.parametrize("path", blocks.pages(), ids=name_of)
def test_tables_are_what_the_programs_write(path):
    """Fails with what stands in the page and what is right; `make pages` renews it."""
    assert stale(path.read_text()) == []


@pytest.mark.parametrize("path", sorted((DOCS / "book").glob("*.md")), ids=name_of)
def test_options_that_correct_the_book_exist(path):
    named = re.findall(r"(\w+)\([^()`]*corrected=True\)", path.read_text())
    assert [name for name in named if "corrected" not in arguments_of(object_named(name))] == []


def object_named(name: str):
    """Returns the model or the algorithm of that name."""
    return getattr(models, name) if hasattr(models, name) else getattr(algorithms, name)


def arguments_of(model) -> set[str]:
    """Returns the names of a model's arguments, of a class or of a function that makes it."""
    return set(signature(model.__init__ if isclass(model) else model).parameters)


def test_every_page_is_in_a_table_of_contents():
    listed = "\n".join(path.read_text() for path in PAGES)
    assert [path.name for path in PAGES if path.name != "index.md" and path.stem not in listed] == []


def test_the_first_example_of_a_training_step_runs_as_it_stands(capsys, promoting):
    code = next(FENCE.finditer((DOCS / "training-step.md").read_text()))["code"]
    exec(compile(code, "training-step.md", "exec"), {})
    assert code.rstrip().endswith(f"# {capsys.readouterr().out.strip()}")


def test_control_a_broken_link_is_seen():
    text = "[a](nowhere.md) [b](limits.md#nothing) [c](limits.md#what-a-gap-is) [d](https://d2l.ai)"
    assert broken_links(DOCS / "index.md", text) == ["nowhere.md", "limits.md#nothing"]


def test_control_an_option_that_is_not_there_is_seen():
    assert "corrected" in arguments_of(models.NiN) and "corrected" not in arguments_of(models.LeNet)


def test_control_a_command_that_is_not_there_is_seen():
    text = "`d2l-jax train lenett` `parity check lenet --steps 50`\n!parity proof lenet\n"
    assert unknown(text) == ["d2l-jax train lenett", "parity proof lenet"]


def test_control_a_name_that_is_not_there_is_seen():
    assert missing_imports("!ls\nfrom d2l_jax import load, lode\nfrom d2l_jax import optim") == ["d2l_jax.lode"]


def test_control_a_changed_number_is_seen():
    text = (DOCS / "book" / "chapter-03.md").read_text()
    assert renewed(text) == text
    changed = text.replace("`linear-regression-scratch` | 3 |", "`linear-regression-scratch` | 4 |")
    assert changed != text and renewed(changed) == text
    assert stale(text) == [] and stale(changed) == ["4 stands, 3 is right"]
    assert renewed(f"<!-- {WRITTEN}models 3 -->\n<!-- end -->").count("\n") > 4
