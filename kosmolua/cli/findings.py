"""What the check of scripts found: for a person with the lines of the source, for GitHub, and as SARIF 2.1.0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from kosmolua import __version__
from kosmolua.check.checked import Checked
from kosmolua.check.findings import CODES, Finding
from kosmolua.cli import terminal
from kosmolua.escaping import visible

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
MARGIN = 8
"""How many columns of a long line are shown before what is wrong in it."""


def framed(file: str, checked: Checked) -> Iterator[str]:
    """Yield lines for a terminal: each finding with its line of the source, then what the script may do."""
    room = terminal.width()
    for finding in checked.report.findings:
        kind = terminal.styled(f"{finding.severity}[{finding.code}]", finding.severity)
        place = terminal.styled(f"{file}:{finding.place}", "bold")
        yield from terminal.broken(f"{place}: {kind}: {visible(finding.message)}", room, "  ")
        yield from _frame(checked, finding, room)
        if finding.hint:
            yield from terminal.broken(f"  {terminal.styled('help', 'bold')}: {visible(finding.hint)}", room, "  ")
        yield ""
    if not checked.report.is_read:
        yield from terminal.broken(unread(file), room, "  ")
    for effect, calls in checked.report.effects().items():
        yield from terminal.broken(f"{file}: {terminal.styled(f'{effect}s', effect)} {', '.join(calls)}", room, "  ")
    for flow in checked.report.flows:
        yield from terminal.broken(f"{file}:{flow.line}: {flow}", room, "  ")


def _frame(checked: Checked, finding: Finding, room: int) -> Iterator[str]:
    """Yield the line of a finding, and under it carets, without what does not fit beside each other."""
    line, begin, last, behind = checked.region(finding)
    text = checked.source.decode("utf-8", "replace").split("\n")[line - 1].rstrip().replace("\t", " ")
    number = f"{line:>4} | "
    shift = max(0, begin - 1 - MARGIN) if terminal.measured(text) > room - len(number) else 0
    shown = terminal.on_one_line(text[shift:], room - len(number))
    stop = behind - 1 if last == line else len(text)
    carets = "^" * max(1, min(stop, shift + len(shown)) - begin + 1)
    blanks = " " * terminal.measured(text[shift : begin - 1])
    yield f"{terminal.styled(number, 'dim')}{visible(shown)}"
    yield f"{terminal.styled('     | ', 'dim')}{blanks}{terminal.styled(carets, finding.severity)}"


def counted(reports: Mapping[str, Checked]) -> str:
    """Return how many errors and warnings there are, such as ``2 errors, 1 warning``."""
    severities = Counter(each.severity for checked in reports.values() for each in checked.report.findings)
    counts = [f"{count} {name}{'s' * (count > 1)}" for name in ("error", "warning") if (count := severities[name])]
    files = f"{len(reports)} script{'s' * (len(reports) > 1)}"
    return f"{', '.join(counts) or 'no problem'} in {files}"


def unread(file: str) -> str:
    """Return a sentence about a script that could not be checked."""
    return f"{file}: could not be read by the check (too long, or too deeply nested?), though Lua may run it"


def commands(reports: Mapping[str, Checked]) -> Iterator[str]:
    """Yield the workflow commands with which GitHub shows the findings at their lines."""
    for file, checked in reports.items():
        for finding in checked.report.findings:
            line, column, last, behind = checked.region(finding)
            places = {"file": PurePath(file).as_posix(), "line": line, "endLine": last, "col": column}
            places |= {"endColumn": behind, "title": f"kosmolua {finding.code}"}
            written = ",".join(f"{name}={_escaped(str(value), ':,')}" for name, value in places.items())
            yield f"::{finding.severity} {written}::{_escaped(finding.advice)}"


def _escaped(text: str, more: str = "") -> str:
    for character in f"%\r\n{more}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def sarif(reports: Mapping[str, Checked]) -> dict[str, Any]:
    """Return the findings as a SARIF log."""
    rules = [{"id": code, "shortDescription": {"text": about}} for code, about in CODES.items()]
    driver = {"name": "kosmolua", "version": __version__, "rules": rules}
    results = [
        _result(file, checked, finding) for file, checked in reports.items() for finding in checked.report.findings
    ]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(file: str, checked: Checked, finding: Finding) -> dict[str, Any]:
    names = ("startLine", "startColumn", "endLine", "endColumn")
    place = {
        "artifactLocation": {"uri": quote(PurePath(file).as_posix())},
        "region": dict(zip(names, checked.region(finding), strict=True)),
    }
    return {
        "ruleId": finding.code,
        "level": finding.severity,
        "message": {"text": finding.advice},
        "locations": [{"physicalLocation": place}],
    }
