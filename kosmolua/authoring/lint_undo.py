"""The linter's check of what writes declare about their undo: ``before=`` and ``undo=``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from kosmolua.authoring.findings import Defect
from kosmolua.calls.inverses import Later
from kosmolua.schema.function import Function
from kosmolua.schema.integration import Integration

_PARAMETERS = {"before": ("args",), "undo": ("args", "before", "result")}


def check_undo(function: Function, integration: Integration) -> Iterator[Defect]:
    """Yield findings on a function's ``before`` and ``undo``: their parameters, and the read that ``before`` names."""
    for name, given in (("before", function.before), ("undo", function.undo)):
        names = _PARAMETERS[name]
        if callable(given) and not _accepts(given, len(names)):
            problem = f"{name} of {function.name} does not take {len(names)} argument{'s' if len(names) > 1 else ''}"
            yield Defect(function.origin, problem, f"write it as def {name}({', '.join(names)})")
            return
    if isinstance(function.undo, str) and not function.undo.strip():
        yield Defect(function.origin, f"undo of {function.name} is empty", "say what is lost")
    read = _read_of(function)
    known = integration.function(read) if read else None
    if read and (known is None or known.effect != "read"):
        problem = f"before of {function.name} names {read}, which is no read of {integration.name}"
        yield Defect(function.origin, problem, "name a function that is registered with .reads")


def check_declared(integration: Integration) -> Iterator[Defect]:
    """Yield a finding for each name in ``declared`` of ``extend`` that the document has no function for."""
    for name in integration.extension.declared if integration.extension else ():
        if name not in integration.functions:
            problem = f"extend declares {name}, and the document has no such function"
            yield Defect(integration.origin, problem, "write the name as in names.lock")


def _accepts(given: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(given).bind(*range(count))
    except TypeError:
        return False
    return True


def _read_of(function: Function) -> str | None:
    """Return the name of the read before a write, as far as it does not depend on the arguments."""
    with suppress(Exception):
        step = function.before(Later()) if function.before else None
        return step[0] if step else None
    return None
