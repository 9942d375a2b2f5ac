"""The paths of a document's requests, apart from all that makes requests, as simulators need them alone."""

from __future__ import annotations


class Route(str):
    """A path template of a document, which lets a simulator tell its requests from a plugin's own.

    ``path`` is the whole one, also with what follows ``?`` and ``#``.
    """

    __slots__ = ("path",)
    path: str

    def __new__(cls, template: str, path: str = "") -> Route:
        route = super().__new__(cls, template)
        route.path = path or template
        return route
