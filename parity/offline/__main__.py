"""`python -m parity.offline LEFT RIGHT`: `parity compare` where nothing but numpy is installed."""

import argparse
import sys

from d2l_jax.errors import InputError
from parity.offline import compare_recordings, load
from parity.report.terminal import details
from parity.report.wording import summary


def main() -> int:
    """0: the sides agree, 1: they differ, 2: the call was wrong."""
    parser = argparse.ArgumentParser(prog="python -m parity.offline", description=__doc__)
    parser.add_argument("left")
    parser.add_argument("right")
    asked = parser.parse_args()
    try:
        result = compare_recordings(load(asked.left), load(asked.right))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(*details(result), summary([result]), sep="\n")
    return int(result.status != "pass")


if __name__ == "__main__":
    sys.exit(main())
