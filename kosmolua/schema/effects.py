"""Effects: what a function does to its service, from the mildest to the gravest.

They are strings, since journals, recordings and accounts files have them as such. Code asks for their order and traits
here, and never for one by its name, unless it is about that one alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias, get_args

Effect: TypeAlias = Literal["read", "write", "destroy"]
EFFECTS: tuple[Effect, ...] = get_args(Effect)
"""All effects, in their order."""
_FINAL = frozenset({"destroy"})


def changes(effect: object) -> bool:
    """Return True for an effect that changes something; what is no effect, such as None, changes nothing."""
    return effect in EFFECTS[1:]


def is_final(effect: object) -> bool:
    """Return True for an effect that cannot be undone, so that each function with it is allowed by its own name."""
    return effect in _FINAL


def gravest(effects: Iterable[Effect]) -> Effect:
    """Return the gravest of these effects; ``read`` if there is none."""
    return max(effects, key=EFFECTS.index, default=EFFECTS[0])


def milder(effect: Effect) -> tuple[Effect, ...]:
    """Return the effects that change something, but less than this one, the gravest first."""
    return EFFECTS[1 : EFFECTS.index(effect)][::-1]
