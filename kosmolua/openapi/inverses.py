"""Inverses of the updates of a document: what the GET of the same path answered before is put back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from kosmolua.openapi.calls import OperationCall
from kosmolua.schema.function import Step

UPDATES = ("PUT", "PATCH")


class Update(NamedTuple):
    """A PUT or PATCH of a path that has a GET too.

    Args:
        name: The name of its function.
        call: Sends its requests.
        sibling: The name of the GET's function.
        ids: The parameters that the GET needs, each with the parameter of the update that has the value.
        nullable: The parameters that can be null.
    """

    name: str
    call: OperationCall
    sibling: str
    ids: Mapping[str, str]
    nullable: Collection[str]

    def before(self, arguments: Mapping[str, Any]) -> Step:
        """Return the GET that shows what the update is about to change."""
        return self.sibling, {name: arguments[own] for name, own in self.ids.items()}

    def undo(self, arguments: Mapping[str, Any], before: Any, _: Any) -> Sequence[Step] | str:
        """Return the update that puts the old values back, or a sentence about what is lost.

        A PUT replaces everything, so each old value is put back; a PATCH only what was given.
        """
        if not isinstance(before, Mapping):
            return "nothing is known that could be put back"
        if (self.call.body and self.call.body.whole) or arguments.get(self.call.spelled("extra")):
            return "what the body changes is not known field by field"
        fields = [each for each in self.call.fields if each.place == "body"]
        if not fields:
            return []  # what it puts there was there
        given = [each for each in fields if arguments.get(each.name) is not None]
        lost = [each.name for each in given if not self._is_known(each.name, each.wire, before)]
        if lost:
            return f"the read before does not say what {' and '.join(lost)} was"
        kept = {each.name: arguments[each.name] for each in self.call.fields if each.name in arguments} | {
            each.name: before[each.wire]
            for each in (fields if self.call.method == "PUT" else given)
            if self._is_known(each.name, each.wire, before)
        }
        return [(self.name, kept)]

    def _is_known(self, name: str, wire: str, before: Mapping[str, Any]) -> bool:
        return wire in before and (before[wire] is not None or name in self.nullable)


def update_of(
    name: str, call: OperationCall, sibling: tuple[str, OperationCall], nullable: Collection[str]
) -> Update | None:
    """Return an update, or None if the GET of its path takes more than the update has.

    ``sibling`` is the name of the GET's function, and what sends its requests; ``nullable`` are the parameters of the
    update that can be null.
    """
    own = {each.wire: each.name for each in call.fields if each.place == "path"}
    needed = [each for each in sibling[1].fields if each.required]
    if not all(each.place == "path" and each.wire in own for each in needed):
        return None
    return Update(name, call, sibling[0], {each.name: own[each.wire] for each in needed}, nullable)
