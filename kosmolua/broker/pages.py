"""Pages of lists: notes which lists a script has fetched only in part, to warn about them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from threading import Lock
from typing import NamedTuple

from kosmolua.schema.function import Function

POINTERS = {"cursor": "cursor", "next_page": "page"}
"""The keys of a result whose values lead to the next page. Each is paired with the parameter that takes its value."""
MAX_REMEMBERED = 10_000
MAX_NOTES = 3


class _Rest(NamedTuple):
    path: str
    items: int
    parameter: str
    takes_all: bool


class Pages:
    """The lists that one run has fetched only in part. Any thread may use this object.

    A list is not reported if the script passed ``limit`` to say how many items it wants.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._rests: dict[tuple[str, str], _Rest] = {}

    def note(self, path: str, function: Function, arguments: Mapping[str, object], value: object) -> None:
        """Note whether a call returned an incomplete list, so that :meth:`warnings` can report it.

        If the call fetched the next page of a list, the note about the page before is removed.

        Args:
            path: The path of the function, such as ``render2.list_services``.
            function: The description of the function.
            arguments: The arguments of the call.
            value: The result of the call.
        """
        names = {parameter.name for parameter in function.parameters}
        for key, parameter in POINTERS.items():
            if parameter not in names or not isinstance(value, Mapping):
                continue
            with self._lock:
                self._rests.pop((path, str(arguments.get(parameter))), None)
                if value.get(key) and "limit" not in arguments and len(self._rests) < MAX_REMEMBERED:
                    items = max((len(each) for each in value.values() if isinstance(each, list)), default=0)
                    self._rests[path, str(value[key])] = _Rest(path, items, parameter, "all" in names)

    def warnings(self, dropped: Collection[str] = ()) -> list[str]:
        """Return a sentence for each function whose list the script fetched only in part.

        Args:
            dropped: The functions whose results the script does not use; they are left out.
        """
        with self._lock:
            rests = list({rest.path: rest for rest in self._rests.values() if rest.path not in dropped}.values())
        return [_sentence(rest) for rest in rests[:MAX_NOTES]]


def _sentence(rest: _Rest) -> str:
    way = "all = true gets all" if rest.takes_all else f"pass its {rest.parameter} to get the next page"
    return f"{rest.path} returned {rest.items:,} items and there are more, which the script did not get ({way})"
