"""How many steps a piece of work takes: its cost, whatever else the machine does."""

import gc
import sys
from collections.abc import Callable


def steps(work: Callable[[], object]) -> int:
    """Return how many functions a piece of work calls; garbage of other tests is left, whose finalizers would count."""
    called = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal called
        called += event in ("call", "c_call")

    gc.disable()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return called
