"""Regular expressions that are compiled when they are first used: compiled by imports, they were a tenth of a start."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Pattern
    from typing import AnyStr


class _Pattern:
    def __init__(self, source: object, flags: int) -> None:
        self._source, self._flags = source, flags

    def __getattr__(self, name: str) -> object:
        import re

        compiled = re.compile(self._source, self._flags)  # type: ignore[call-overload]
        found = vars(self)[name] = getattr(compiled, name)
        return found


def regex(source: AnyStr, flags: int = 0) -> Pattern[AnyStr]:
    """Return what ``re.compile`` returns; it is compiled when its first method is used."""
    return _Pattern(source, flags)  # type: ignore[return-value]
