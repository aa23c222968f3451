"""Tables of the book's chapters: the models with their proof, and what they reach beside the book's figures."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from speed_classes import speed

from d2l_jax.runs.overview import overview

DOCS = Path(__file__).parent.parent
STORED = DOCS / "stored"
BOOK = STORED / "book.json"
TRAINING = STORED / "training.json"
PROOF = "<!-- parity check --all --markdown -->"

CHAPTERS = {
    3: "Linear neural networks for regression",
    4: "Linear neural networks for classification",
    5: "Multilayer perceptrons",
    6: "Builders' guide",
    7: "Convolutional neural networks",
    8: "Modern convolutional neural networks",
    9: "Recurrent neural networks",
    10: "Modern recurrent neural networks",
    11: "Attention mechanisms and transformers",
    12: "Optimization algorithms",
    13: "Computational performance",
    14: "Computer vision",
    15: "Natural language processing: pretraining",
    16: "Natural language processing: applications",
    17: "Reinforcement learning",
    18: "Gaussian processes",
    19: "Hyperparameter optimization",
    20: "Generative adversarial networks",
    21: "Recommender systems",
    22: "Appendix: mathematics for deep learning",
}
FIGURES = {
    "train_loss": "train loss",
    "mean_train_loss": "train loss, mean over epochs",
    "test_loss": "test loss",
    "test_accuracy": "test accuracy",
    "train_perplexity": "train perplexity",
    "test_perplexity": "test perplexity",
    "bleu": "BLEU of go / lost / calm / home",
}
EXAMPLES = {
    "imdb": 25_000,
    "snli": 549_367,
    "snli_bert": 549_367,
}  # that the book trains on, where a stored run may have had fewer
BOTH = {  # that stand beside those of the twin
    "mean_train_loss": "train loss, mean over epochs",
    "train_loss": "train loss",
    "train_accuracy": "train accuracy",
    "test_loss": "test loss",
    "test_accuracy": "test accuracy",
    "train_mlm_loss": "train loss of words",
    "train_nsp_loss": "of next sentences",
    "test_mlm_loss": "test loss of words",
    "test_nsp_loss": "of next sentences",
}


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table; a heading that ends with a colon has its column to the right."""
    rule = ["--:" if heading.endswith(":") else "--" for heading in headings]
    lines = [[heading.rstrip(":") for heading in headings], rule, *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def contents() -> str:
    """Lists the chapters with their numbers in both editions, and how many models each has."""
    rows = []
    for number, title in CHAPTERS.items():
        entries = _of_chapter(str(number))
        page = f"[{title}](chapter-{number:02}.md)"
        rows.append([str(number), _chinese_chapters(entries), page, str(len(entries))])
    return table(["chapter", "Chinese edition", "title", "models:"], rows)


def chapters(language: str = "en") -> str:
    """Lists the chapters as the READMEs show them, two in a row: number, that of the Chinese edition, page, models."""
    words = {"en": ["chapter", "Chinese edition", "title", "models:"], "zh": ["英文版", "中文版", "标题", "模型:"]}
    cells = []
    for number, title in CHAPTERS.items():
        entries = _of_chapter(str(number))
        page = f"[{title}](docs/book/chapter-{number:02}.md)"
        cells.append([str(number), _chinese_chapters(entries) or "-", page, str(len(entries))])
    half = (len(cells) + 1) // 2
    second = [*cells[half:], [""] * 4]
    return table(2 * words[language], [[*left, *right] for left, right in zip(cells[:half], second)])


def _chinese_chapters(entries: Sequence[dict]) -> str:
    sections = [section for entry in entries for section in (entry["section_zh"] or "").split(", ") if section]
    return ", ".join(sorted({section.partition(".")[0] for section in sections}, key=int))


def models(chapter: str) -> str:
    """Lists the models of a chapter, and what `parity check --all` made of each."""
    proof = _proof()
    rows = []
    for entry in _of_chapter(chapter):
        compared, gap, verdict = proof.get(entry["name"], ("-", "-", "not in the last run"))
        sections = [entry["section"], entry["section_zh"] or "-"]
        rows.append([*sections, f"`{entry['name']}`", f"{entry['parameters']:,}", compared, gap, verdict])
    return table(["", "Chinese", "case", "parameters:", "comparisons:", "float64: gap (limit):", ""], rows)


def trained(chapter: str) -> str:
    """Lists what the models of a chapter reach, beside the book's figures in brackets."""
    names = [entry["name"] for entry in _of_chapter(chapter) if entry["data"]]
    kinds = [_of_kind(kind, names) for kind in ("numbers", "text", "translations")]
    return "\n\n".join([_reached(each) for each in kinds if each] + [_said(names)])


def results(kind: str) -> str:
    """Lists the same of all cases that are trained on one kind of data: "numbers", "text" or "translations"."""
    names = _of_kind(kind, [entry["name"] for entry in overview() if entry["data"]])
    return f"{_reached(names)}\n\n{_said(names)}"


def neighbours() -> str:
    """Lists the nearest words that trained models of word vectors have shown."""
    runs = json.loads(TRAINING.read_text())
    sides = [
        (f"`{run['case']}`{side}", one) for run in runs for side, one in (("", run), (", PyTorch", run.get("twin", {})))
    ]
    rows = [[label, word, near] for label, one in sides for word, near in one.get("neighbours", {}).items()]
    return table(["case", "word", "nearest"], rows)


def twins(chapter: str) -> str:
    """Lists what models of a chapter reach in both frameworks, where the run of the PyTorch twin is stored too."""
    names = [entry["name"] for entry in _of_chapter(chapter)]
    runs = [run for run in json.loads(TRAINING.read_text()) if run["case"] in names and "twin" in run]
    if not runs:
        return "None of them has been trained in both for this page."
    shown = [name for name in BOTH if any(name in run["final"] for run in runs)]
    rows = []
    for run in runs:
        for label, one in ((f"`{run['command']}`", run), ("the same with `--framework torch`", run["twin"])):
            rows.append([label, *(_figure(one["final"].get(name)) for name in shown), f"{one['seconds']:.0f}"])
    return table(["", *(f"{BOTH[name]}:" for name in shown), "seconds:"], rows)


def _of_kind(kind: str, names: Sequence[str]) -> list[str]:
    data = {entry["name"]: entry["data"] for entry in overview()}
    return [name for name in names if kind_of(data[name]) == kind]


def kind_of(data: str) -> str:
    """Returns "text" or "translations" for these two, and "numbers" for all other data sets."""
    return {"time_machine": "text", "fra_eng": "translations"}.get(data, "numbers")


def _reached(names: Sequence[str]) -> str:
    """Returns what cases reach, the book's figures in brackets, and the seconds that it took."""
    book = json.loads(BOOK.read_text())
    runs = {run["case"]: run for run in json.loads(TRAINING.read_text())}
    sections = {entry["name"]: (entry["section"], entry["section_zh"] or "-") for entry in overview()}
    shown = [each for each in FIGURES if any(each in book.get(name, {}) for name in names)]
    rows = []
    for name in names:
        final = runs[name]["final"] if name in runs else {}
        cells = [_beside(final.get(figure), book.get(name, {}).get(figure)) for figure in shown]
        seconds = f"{runs[name]['seconds']:.0f}" if name in runs else "not run"
        rows.append([*sections[name], f"`{name}`", *cells, seconds])
    headings = [f"{FIGURES[figure]} (the book's):" for figure in shown]
    return table(["", "Chinese", "case", *headings, "seconds:"], rows)


def _beside(ours, books) -> str:
    return " ".join(filter(None, [_figure(ours) or "-", books is not None and f"({_figure(books)})"]))


def _figure(value) -> str:
    if isinstance(value, list):
        return " / ".join(f"{each:.3f}" for each in value)
    return "" if value is None else f"{value:#.3g}"


def _said(names: Sequence[str]) -> str:
    """Says when the runs were, with which versions, and how one repeats them."""
    shown = [run for run in json.loads(TRAINING.read_text()) if run["case"] in names]
    if not shown:
        return "None of them has been trained for this page."
    dates = sorted({run["date"] for run in shown})
    days = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    versions = ", ".join(f"{name} {number}" for name, number in shown[0]["versions"].items())
    less = list(filter(None, map(_less, shown)))
    data = "the book's data" + (", or the part of it that is told below" if less else "")
    return "\n\n".join([f"`d2l-jax train NAME`, seed 0, on {data}; {days}, {shown[0]['device']}, {versions}.", *less])


def _less(run: dict) -> str:
    """Says where a run had fewer epochs or examples than the book's."""
    data, examples = run["data"]["name"], run["data"]["train"]
    books = EXAMPLES.get(data, 0)
    of = f" on {examples:,} of the {books:,} examples" if examples < books else ""
    fewer = run["command"] != f"d2l-jax train {run['case']}"
    return f"`{run['case']}`: `{run['command']}`{of}." if of or fewer else ""


def _of_chapter(chapter: str) -> list[dict]:
    return [entry for entry in overview() if entry["section"].partition(".")[0] == chapter]


def _proof() -> dict[str, tuple[str, str, str]]:
    """Returns (comparisons, gap and limit in float64, verdict) of each case, from the table of the results."""
    lines = (DOCS / "results.md").read_text().partition(PROOF)[2].partition("<!-- end")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines if line.startswith("| ")]
    return {row[1]: (row[4], row[5], row[-1]) for row in cells if len(row) == 8}


TABLES: dict[str, Callable[..., str]] = {
    "contents": contents,
    "chapters": chapters,
    "models": models,
    "trained": trained,
    "results": results,
    "twins": twins,
    "neighbours": neighbours,
    "speed": speed,
}
