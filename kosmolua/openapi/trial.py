"""A trial of how the lists of a service page: a few items of each, over several pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from kosmolua.errors import KosmoError
from kosmolua.openapi.functions import DocumentFunctions
from kosmolua.openapi.paging import at
from kosmolua.protocol import Json
from kosmolua.schema.tree import table

MOST_FUNCTIONS = 25
"""The most lists that are tried."""
MOST_ITEMS = 7
SIZE = 3
"""How many items of a page are asked for."""


class Trial(NamedTuple):
    """What became of one list: a sentence, and whether it is wrong."""

    function: str
    sentence: str
    is_wrong: bool = False


def try_paging(functions: DocumentFunctions, call: Callable[[str, Mapping[str, Json]], Json]) -> Iterator[Trial]:
    """Fetch a few items of each list that needs no arguments, and yield what became of each.

    ``call`` makes a call of a function by its name, and raises a KosmoError.
    """
    count = 0
    for name, sketch in functions.sketches().items():
        function, sender = functions.function(name), functions.call(name)
        recipe = sender.recipe if sender else None
        if sketch.effect != "read" or function is None or sender is None or recipe is None or count == MOST_FUNCTIONS:
            continue
        if any(each.required for each in function.parameters):
            continue
        count += 1
        size = next((each for each in sender.fields if recipe.size and each.wire == recipe.size), None)
        bounds = table(size.schema) if size else {}
        least, greatest = (bounds.get(each) for each in ("minimum", "maximum"))
        asked = max(SIZE, int(least)) if isinstance(least, (int, float)) else SIZE
        asked = min(asked, int(greatest)) if isinstance(greatest, (int, float)) and greatest >= 1 else asked
        most = MOST_ITEMS * asked // SIZE
        given: dict[str, Json] = {sender.spelled("all"): True, sender.spelled("max_items"): most}
        try:
            found = call(name, given | ({size.name: asked} if size else {}))
        except KosmoError as error:
            yield Trial(name, error.message, is_wrong=True)
            continue
        items = found if isinstance(found, list) else at(found, recipe.items)
        got = len(items) if isinstance(items, list) else 0
        if got > asked:
            yield Trial(name, f"pages: {got} items, of which {asked} were asked for at a time")
        elif getattr(found, "truncated", None) or table(found).get("truncated"):
            yield Trial(
                name, f"has more than the {got} items that were found, but nothing leads to them", is_wrong=True
            )
        else:
            yield Trial(name, f"cannot be judged: it has only {got} items")
