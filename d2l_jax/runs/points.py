"""A run of a point that descends in a valley: its path over contours (book, sections 12.3 to 12.8)."""

import math
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from d2l_jax.algorithms import descend
from d2l_jax.catalog import get
from d2l_jax.errors import InputError
from d2l_jax.models import Point
from d2l_jax.runs.options import Options, folder_of, refuse
from d2l_jax.runs.paths import Descent, draw_descents
from d2l_jax.runs.run import SILENT, Listener
from d2l_jax.runs.settings import name_of, plain
from d2l_jax.write import explained, write_json

STEPS = 20  # as in the book
PATH = "path.json"
WITHOUT = (
    *("data", "batch_size", "buckets", "image_size", "weights", "resume", "devices", "processes", "download"),
    "compilation_cache",
)


def descended(options: Options, listener: Listener = SILENT) -> dict[str, Any]:
    """Follows the point of a case, and leaves `path.png` and `path.json`, whose content is returned.

    `epochs` are steps here. A rate that is too large is followed as far as it leads.

    Raises InputError for an option that has no meaning here, and where the folder holds a path already.
    """
    _check(options)
    case = get(options.name)
    out = folder_of(options)
    if (out / PATH).exists():
        raise InputError(f"{out} holds a path already; give another --out")
    make = case.turn.optimizer if options.lr is None else partial(case.turn.optimizer, lr=options.lr)
    start = cast(Point, case.build()).x[...]

    def f(x: Float[Array, " 2"]) -> Float[Array, ""]:
        return case.turn.objective(lambda: x, {})[0]

    path = np.asarray(descend(f, make(), start, options.epochs or STEPS))
    rows = np.column_stack([path, np.asarray(jax.vmap(f)(jnp.asarray(path)))])
    steps = [dict(zip(("x1", "x2", "height"), map(_finite, row))) for row in rows.tolist()]
    rates = plain(getattr(make, "keywords", {}))
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
    title = f"{case.title}, {', '.join(f'{name} {value}' for name, value in rates.items())}"
    draw_descents([Descent(title, f, path)], out / "path.png", columns=1)
    content = {"model": case.name, "section": case.section, "optimizer": name_of(make), **rates, "steps": steps}
    write_json(out / PATH, plain(content))
    x1, x2, height = rows[-1]
    listener.line(f"step {len(path) - 1}   x1 {x1:.6f}  x2 {x2:.6f}  height {height:.6g}")
    listener.line(f"written   {out / 'path.png'}, {out / PATH}")
    return content


def _finite(value: float) -> float | None:
    """Returns the number as JSON holds it: none where a rate has led beyond all numbers."""
    return value if math.isfinite(value) else None


def is_point(name: str) -> bool:
    """Tells whether what the case of that name trains is a point of the plane."""
    return get(name).model is Point


def _check(options: Options) -> None:
    refuse(options, WITHOUT, "is a point that descends")
    if options.framework != "jax":
        raise InputError(
            f"{options.name} is drawn by JAX alone; `parity check {options.name}` compares it with PyTorch"
        )
    if options.epochs is not None and options.epochs < 1:
        raise InputError(f"--epochs {options.epochs} is too small; give 1 step or more")
    if options.lr is not None and not (math.isfinite(options.lr) and options.lr > 0):
        raise InputError(f"--lr {options.lr} is no learning rate; give a number above 0")
