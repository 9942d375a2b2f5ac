"""Parameters: what a function takes by name."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from kosmolua.spec.types import Type

REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Parameter:
    """One named argument of a function.

    Args:
        name: As Lua writes it.
        type: What fits.
        about: One sentence for the reference.
        default: What the function takes when nothing is given; :data:`REQUIRED` where something must be.
        unless: The parameter that may be given in place of this required one, or nothing.
    """

    name: str
    type: Type
    about: str
    default: object = REQUIRED
    unless: str = ""

    @property
    def required(self) -> bool:
        """Whether a call must give it, or what may stand in its place."""
        return self.default is REQUIRED

    @property
    def may_be_absent(self) -> bool:
        """Whether there are calls without it."""
        return not self.required or bool(self.unless)
