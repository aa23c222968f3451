"""The table of chapter 12's regression on airfoils: the final losses of every algorithm, beside the book's.

Run: python docs/programs/airfoil.py [SEEDS [NAME ...]]. The data is looked up as `d2l-jax train` does.
"""

import json
import statistics
import sys
from pathlib import Path

from d2l_jax.case import Case
from d2l_jax.catalog import CASES
from d2l_jax.data import Dataset, batch_order
from d2l_jax.runs.choice import choose_data
from d2l_jax.runs.learner import JaxLearner
from d2l_jax.train import Event

BOOK = json.loads((Path(__file__).parent.parent / "stored" / "book.json").read_text())
AIRFOIL = [case for case in CASES if case.data == "airfoil"]


def final_losses(case: Case, data: Dataset, seeds: int) -> list[float]:
    """Returns half the mean squared error after the last epoch, of a training with each seed."""
    return [_final_loss(case, data, seed) for seed in range(seeds)]


def _final_loss(case: Case, data: Dataset, seed: int) -> float:
    losses: list[float] = []

    def hear(event: Event) -> None:
        if event.means is not None:
            losses.append(event.means.test["loss"])

    def order(epoch: int):
        return batch_order(data.examples, case.batch_size, seed=seed, epoch=epoch)

    JaxLearner(case, seed).fit(data, order, range(1, case.epochs + 1), (hear,))
    return losses[-1]


def main() -> None:
    """Prints a Markdown table."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    data = choose_data(AIRFOIL[0])
    print(f"{data.name}: {data.source}; {seeds} seeds\n")
    print("| case | median | smallest | largest | the book's |\n| -- | --: | --: | --: | --: |")
    for case in [case for case in AIRFOIL if case.name in sys.argv[2:]] or AIRFOIL:
        losses = final_losses(case, data, seeds)
        figures = (statistics.median(losses), min(losses), max(losses), BOOK[case.name]["test_loss"])
        print(f"| `{case.name}` | " + " | ".join(f"{figure:.4f}" for figure in figures) + " |", flush=True)


if __name__ == "__main__":
    main()
