"""Paths: the dotted names under ``app`` that scripts, pages, the command line and the journal share."""

from __future__ import annotations

APP, ROOT = "app", "integrations"
"""What a path begins with, in full."""


def parts_of(path: str) -> list[str]:
    """Return the names in a path without what it begins with: ``["render2", "list_services"]``.

    Args:
        path: ``render2.list_services``, with ``integrations.`` or ``app.integrations.`` before it or not.
    """
    parts = path.strip().split(".")
    for beginning in (APP, ROOT):
        if parts[:1] == [beginning]:
            del parts[0]
    return parts


def page_of(*names: str) -> str:
    """Return the name of the page of an integration, or of one of its functions: ``integrations.render2``."""
    return ".".join((ROOT, *names))
