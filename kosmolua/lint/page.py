"""The page of an integration: whether there is one, and whether it speaks of the functions that there are."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kosmolua.docs import markdown
from kosmolua.lint.finding import Finding
from kosmolua.spec.integration import Integration
from kosmolua.suggestions import did_you_mean

_LIKE_A_FUNCTION = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")


def check_page(integration: Integration, prose: str | None, file: str) -> Iterator[Finding]:
    """Yield what is missing from the hand-written half of an integration's page.

    Args:
        integration: What it is about.
        prose: Its text, or None where there is none.
        file: Where it is, or would be.
    """
    if prose is None:
        remedy = f"write {integration.name}.md beside it, with what the signatures do not say"
        yield Finding(integration.origin, "there is no page", remedy, note=True)
        return
    document = markdown.read(prose)
    if not document.title:
        yield Finding(f"{file}:1", "the page has no title", "begin with '# NAME'")
    spoken_of = {function.name for heading in document.sections if (function := integration.function(heading))}
    for name in integration.functions:
        if name not in spoken_of:
            yield Finding(
                f"{file}:1", f"{name} has no section", f"add '## {name}' with what its signature does not say"
            )
    for heading in document.sections:
        if _LIKE_A_FUNCTION.fullmatch(heading) and not integration.function(heading):
            hint = did_you_mean(heading, integration.functions) or "take the section out"
            yield Finding(f"{file}:{_line_of(prose, heading)}", f"the section {heading} is about no function", hint)


def _line_of(prose: str, heading: str) -> int:
    pattern = re.compile(rf"##\s+`?{re.escape(heading)}`?\s*")
    return next(number for number, line in enumerate(prose.splitlines(), 1) if pattern.fullmatch(line))
