"""Fetching files over the network: whole and with the right hash, or not at all."""

import gzip
import hashlib
import http.client
import logging
import os
import urllib.request
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from d2l_jax.errors import InputError

BOOK_MIRRORS = ("https://d2l-data.s3-accelerate.amazonaws.com/", "http://d2l-data.s3-accelerate.amazonaws.com/")
TIMEOUT_S = 30
CHUNK = 1 << 20

log = logging.getLogger(__name__)


class _Refused(Exception):
    """Says why a mirror did not give the right content."""


def fetch(name: str, mirrors: Sequence[str], digest: str, folder: Path) -> Path:
    """Downloads one file into `folder`, from the first mirror that serves it with the right content.

    Args:
      name: the file's name, on the mirrors and here.
      mirrors: addresses to which the name is appended, tried in this order.
      digest: SHA-256 (or the book's SHA-1) of the content in hex, gunzipped where the name ends in `.gz`.
      folder: created where missing. A file of the right content that lies there is returned as it is.

    Returns:
      The file's path.

    Raises:
      InputError: no mirror gave the right content, or the folder cannot be written; nothing is left behind.
    """
    target = folder / name
    part = folder / f".{os.getpid()}-{name}"
    failures = []
    try:
        if target.is_file() and _content_hash(target, digest) == digest:
            return target
        folder.mkdir(parents=True, exist_ok=True)
        for mirror in mirrors:
            try:
                _fetch_one(mirror + name, part, digest)
                os.replace(part, target)
                return target
            except _Refused as why:
                failures.append(f"{mirror}: {why}")
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}") from error
    raise InputError(f"could not download {name} ({'; '.join(failures)}); fetch it by hand into {folder}")


def _fetch_one(url: str, part: Path, digest: str) -> None:
    log.info("downloading %s", url)
    with open(part, "wb") as file:
        for chunk in _chunks(url):
            file.write(chunk)
    actual = _content_hash(part, digest)
    if actual != digest:
        kind = _kind(digest)
        raise _Refused(f"wrong hash, {kind} of the content is {actual or 'not to be had'} instead of {digest}")


def _chunks(url: str) -> Iterator[bytes]:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            while chunk := answer.read(CHUNK):
                yield chunk
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _Refused(str(getattr(error, "reason", None) or error)) from error


def _kind(digest: str) -> str:
    return "sha1" if len(digest) == 40 else "sha256"


def _content_hash(path: Path, like: str) -> str | None:
    """The hash of a file's content in hex, of the same kind as another; None if that fails.

    The content is gunzipped where the name ends in `.gz`.
    """
    digest = hashlib.new(_kind(like))
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return None
    return digest.hexdigest()
