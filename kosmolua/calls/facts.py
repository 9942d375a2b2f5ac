"""Facts about a run that make silent mistakes visible, such as how many items a list had, and what was nil."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kosmolua.calls.records import Returned
    from kosmolua.schema.function import Paging

MAX_FACTS = 20
MAX_REPEATS = 10
"""A call with equal arguments and an equal answer is a fact if it was made more often than this."""
MAX_WARNINGS = 3


@dataclass(frozen=True)
class Fact:
    """A sentence about a run.

    Args:
        line: The line of the script; 0 if it is not known.
        text: The sentence, such as ``render2.list_services: 20 items, and there are more``.
        count: How many calls it is about.
    """

    line: int
    text: str
    count: int = 1

    @property
    def path(self) -> str:
        """The path of the function that the fact is about."""
        return self.text.partition(":")[0]

    def __str__(self) -> str:
        times = f" ({self.count:,} times)" if self.count > 1 else ""
        return f"line {self.line}: {self.text}{times}" if self.line else f"{self.text}{times}"


class Facts(NamedTuple):
    """What the facts about one run are made of. Any thread may append to the lists.

    Args:
        returned: The calls that have returned.
        absent: For each key of an argument that was nil: the line, the function's path, and the key.
        flows: For each argument that somebody else's text decided: the line, the function's path, and the sentence.
    """

    returned: list[Returned]
    absent: list[tuple[int, str, str]]
    flows: Sequence[tuple[int, str, str]] = ()

    def found(self) -> list[Fact]:
        """Return the facts, in the order of the first calls; at most ``MAX_FACTS``."""
        facts = [
            Fact(line, f"{path}: {key} was nil", count) for (line, path, key), count in Counter(self.absent).items()
        ]
        facts += [Fact(line, f"{path}: {text}", count) for (line, path, text), count in Counter(self.flows).items()]
        places: dict[tuple[int, str], list[Returned]] = {}
        for each in self.returned:
            places.setdefault((each.line, each.path), []).append(each)
        unread = Counter((each.line, each.path) for each in self._unread())
        for (line, path), calls in places.items():
            facts += [Fact(line, f"{path}: {text}", count) for text, count in _texts(calls, unread[line, path])]
        return facts[:MAX_FACTS]

    def warnings(self, dropped: Collection[str] = ()) -> list[str]:
        """Return a sentence for each function whose list the script fetched only in part, without having said so.

        Functions whose results the script does not use (``dropped``) are left out.
        """
        found = {each.path: each for each in self._unread() if each.path not in dropped and not each.is_limited}
        warnings = [_warning(each, each.paging) for each in found.values() if each.paging and each.paging.key]
        return warnings[:MAX_WARNINGS]

    def _unread(self) -> Iterator[Returned]:
        """Yield the calls that returned a part of a list whose next part was not fetched."""
        fetched = {(each.path, each.begins_at) for each in self.returned if each.begins_at}
        return (each for each in self.returned if each.has_more and (each.path, each.goes_on_at) not in fetched)


def _texts(calls: list[Returned], unread: int) -> Iterator[tuple[str, int]]:
    """Yield what is to tell about the calls of one function in one line, and how many calls it is about."""
    lists = [each for each in calls if each.items is not None]
    empty = Counter(each.filters for each in lists if not each.items and each.filters)
    yield from ((f"no items with {filters}", count) for filters, count in empty.items())
    if len(lists) > empty.total():
        items = sum(each.items or 0 for each in lists)
        text = f"{items:,} item{'' if items == 1 else 's'}" + (f" in {len(lists):,} calls" if len(lists) > 1 else "")
        if unread:
            text += ", and there are more" + (f" after {unread:,} of them" if len(lists) > 1 else "")
        yield text, 1
    most = max(Counter(each.digest for each in calls).values())
    if most > MAX_REPEATS:
        yield "the same arguments and the same answer", most


def _warning(part: Returned, paging: Paging) -> str:
    way = "all = true gets all" if paging.takes_all else f"pass its {paging.parameter} to get the next page"
    return f"{part.path} returned {part.items or 0:,} items and there are more, which the script did not get ({way})"
