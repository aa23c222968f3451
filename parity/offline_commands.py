"""The commands of recordings: one side here, the other elsewhere."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from d2l_jax.write import check_writable
from parity.check_options import File, Flag
from parity.output import console_beside, write

Device = Literal["cpu", "gpu"]


def record(
    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")],
    /,
    side: Literal["torch", "flax"],
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")],
    given: File = None,
    full: Flag = False,
    steps: int = 5,
    probes: int = 4,
    device: Device = "cpu",
    tf32: Flag = False,
) -> int:
    """Write one side's whole run to a file, for `parity compare` in another environment or on another machine.

    Try `parity record lenet --side torch --out torch.npz`, then, where PyTorch may be missing,
    `parity record lenet --side flax --given torch.npz --out flax.npz`.

    Args:
        name: A case; `d2l-jax list` shows them.
        side: Which framework runs.
        out: The file to write.
        given: PyTorch's recording, whose states and batches are taken.
        full: The book's sizes instead of small ones.
        steps: Training steps; of --given, its own.
        probes: Runs of PyTorch that measure noise; more, where a float32 row fails.
        device: Where the framework runs.
        tf32: Let a GPU round float32 products to TF32.
    """
    from d2l_jax.catalog import get
    from parity.environment import require_torch
    from parity.offline import load, save
    from parity.offline.recording import record_case

    check_writable({"--out": out})
    if side == "torch":
        require_torch()
    case = get(name)
    start = load(given) if given else None
    recording = record_case(case, side, start, full=full, steps=steps, probes=probes, device=device, tf32=tf32)
    save(recording, out)
    print(f"written   {out}")
    return 0


def compare(
    left: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="LEFT")],
    right: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RIGHT")],
    /,
    json: File = None,
    html: File = None,
) -> int:
    """Compare two recordings of `parity record`, one of them PyTorch's.

    `python -m parity.offline LEFT RIGHT` does so where nothing but numpy is installed.
    Exit status: 0 they agree, 1 they differ, 2 the call was wrong.

    Args:
        left: A recording.
        right: A recording from the same states and batches.
        json: Write the whole result here; - is standard output.
        html: Write one page with every phase here.
    """
    from parity.offline import compare_recordings, load
    from parity.report import html as page
    from parity.report import show, to_json

    check_writable({"--json": json, "--html": html})
    result = compare_recordings(load(left), load(right))
    console = console_beside(json, html)
    show(console, [result], result.settings)
    write(json, lambda: to_json([result], result.settings), console)
    write(html, lambda: page([result], result.settings), console)
    return int(result.status != "pass")
