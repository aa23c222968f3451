"""JUnit's XML, which every CI server shows: a suite per case, in it a test per tier and phase."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from parity.compare.rows import Row
from parity.report.order import phases
from parity.report.wording import describe, first_wrong

if TYPE_CHECKING:
    from parity.result import Result

FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # no escape makes them XML


def junit(results: list[Result]) -> str:
    """An XML document; a case that could not be compared is one test with an error."""
    root = ElementTree.Element("testsuites", name="parity")
    for result in results:
        _suite(root, result)
    ElementTree.indent(root, " ")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _suite(root: ElementTree.Element, result: Result) -> None:
    suite = ElementTree.SubElement(root, "testsuite", name=_clean(result.name), time=f"{result.seconds:.3f}")
    if result.status == "error":
        test = _test(suite, result, "check")
        _verdict(test, "error", result.error or "nothing was compared", "")
    for tier, rows in result.rows.items():
        for phase, members in phases(rows).items():
            test = _test(suite, result, f"{tier} {phase}")
            if bad := [row for row in members if not row.passed]:
                _verdict(test, "failure", f"{len(bad)} of {len(members)} tensors differ", _text(result, bad))
    for kind, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
        suite.set(kind, str(len(list(suite.iter(tag)))))


def _test(suite: ElementTree.Element, result: Result, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=_clean(f"parity.{result.name}"), name=_clean(name))


def _verdict(test: ElementTree.Element, tag: str, message: str, text: str) -> None:
    ElementTree.SubElement(test, tag, message=_clean(message), type="parity").text = _clean(text)


def _text(result: Result, rows: list[Row]) -> str:
    return "\n".join(filter(None, [first_wrong(result), *map(describe, rows)]))


def _clean(text: str) -> str:
    return FORBIDDEN.sub("?", text)
