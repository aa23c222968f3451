"""Facts of some versions alone."""

from importlib.metadata import version

from packaging.version import Version


def is_from(package: str, first: str) -> bool:
    """Tells whether a package is as new as `first`, or newer."""
    return Version(version(package)) >= Version(first)
