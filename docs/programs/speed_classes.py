"""The bench's ratios by how long a step takes: one mean hides that tiny steps gain much and large ones little."""

import math
from pathlib import Path

PAGE = Path(__file__).parent.parent / "speed.md"
START = "<!-- parity bench --markdown -->"
CLASSES = {  # the longest step of PyTorch's, in ms
    "below 1 ms, where the calls take the time": 1.0,
    "1 to 20 ms": 20.0,
    "above 20 ms": math.inf,
}
STEP, EAGER, COMPILE = "PyTorch", "ratio", "ratio torch.compile"


def speed(page: Path = PAGE) -> str:
    """Returns a table of geometric means, with how many models are below 1, for each class of steps."""
    lines = [
        "| PyTorch's step | models | eager | below 1 | torch.compile | below 1 |",
        "| -- | --: | --: | --: | --: | --: |",
    ]
    measured = rows(page)
    shortest = 0.0
    for name, longest in CLASSES.items():
        those = [row for row in measured if shortest <= milliseconds(row[STEP]) < longest]
        means = [
            f"{mean(those, ratio):.2f} | {sum(float(row[ratio]) < 1 for row in those)}" for ratio in (EAGER, COMPILE)
        ]
        lines.append(f"| {name} | {len(those)} | {means[0]} | {means[1]} |")
        shortest = longest
    return "\n".join(lines)


def rows(page: Path) -> list[dict[str, str]]:
    """Returns the rows of the bench's table, by the names of its columns."""
    text = page.read_text().partition(START)[2].partition("\n\n")[0]
    head, _, *body = ([cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.strip().splitlines())
    return [dict(zip(head, cells)) for cells in body]


def milliseconds(cell: str) -> float:
    """Returns the median of a cell such as "12.3 ± 0.618"."""
    return float(cell.partition(" ")[0])


def mean(those: list[dict[str, str]], ratio: str) -> float:
    """Returns the geometric mean of a column."""
    return math.exp(sum(math.log(float(row[ratio])) for row in those) / len(those))


def below_1(those: list[dict[str, str]], ratio: str) -> int:
    """Counts the rows in which PyTorch is faster."""
    return sum(float(row[ratio]) < 1 for row in those)
