"""A script beside the report on it, with the places of findings as people and editors count them."""

from __future__ import annotations

from typing import NamedTuple

from kosmolua.check.checker import Report
from kosmolua.check.findings import Finding


class Checked(NamedTuple):
    """A script, and the report on it."""

    source: bytes
    report: Report

    def region(self, finding: Finding) -> tuple[int, int, int, int]:
        """Return the first line and column of a finding, and the line and column behind it, in characters from 1."""
        lines = self.source.split(b"\n")

        def column(line: int, byte: int) -> int:
            return len(lines[line - 1][: byte - 1].decode("utf-8", "replace")) + 1 if line <= len(lines) else byte

        begin = column(finding.line, finding.column)
        if not finding.end_line:
            return finding.line, begin, finding.line, begin + 1
        return finding.line, begin, finding.end_line, column(finding.end_line, finding.end_column)
