"""Rendering: templates, what they know of times and values, and the headers of every answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

from kosmolua.escaping import exposed, harmless
from kosmolua.schema import luacats
from kosmolua.schema.names import page_of

PACKAGE = "kosmolua.serve.pages"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""What a browser may load and run: files of this page, and nothing inline."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
"""The files that a page loads, by their ending."""
_SIGN = re.compile(r"[._](?=\w)")
MINUTE, HOUR, DAY = 60, 3600, 86400


def render(template: str, context: Mapping[str, Any], *, part: str | None = None, status: int = 200) -> Response:
    """Return a page, or one block of it that replaces its part of a page that is open.

    Args:
        template: The file.
        context: What it shows.
        part: The block, or None for the page.
        status: The status of the answer.
    """
    found = environment().get_template(template)
    blocks = found.blocks[part](found.new_context(dict(context))) if part else found.generate(context)
    text = "".join(blocks)
    return HTMLResponse(text, status, {**HEADERS, "Cache-Control": "no-store"})


def asset(name: str) -> Response:
    """Return a file that pages load; its address changes with its content, so browsers may keep it."""
    found = _assets().get(name)
    if found is None:
        return Response("There is no such file.", 404, HEADERS)
    kept = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(found[0], headers={**HEADERS, **kept, "Content-Type": TYPES[name[name.rindex(".") :]]})


def asset_path(name: str) -> str:
    """Return the address of a file that pages load, below that of the page."""
    return f"/static/{name}?v={_assets()[name][1]}"


@lru_cache(maxsize=1)
def _assets() -> dict[str, tuple[bytes, str]]:
    """Return the content of each file that pages load, and a mark that changes with it."""
    found = [each for each in (files(PACKAGE) / "static").iterdir() if each.name.endswith((*TYPES,))]
    contents = {each.name: each.read_bytes() for each in found}
    return {name: (content, sha256(content).hexdigest()[:12]) for name, content in contents.items()}


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the templates. They escape all that they show."""
    made = Environment(
        loader=PackageLoader(PACKAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {
        "at": lambda seconds: datetime.fromtimestamp(seconds, timezone.utc),
        "clock": lambda moment: f"{moment:%H:%M:%S} UTC",
        "day": lambda moment: f"{moment.day} {moment:%B}",
        "duration": duration,
        "exposed": lambda text: exposed(str(text)),
        "harmless": harmless,
        "literal": lambda value: exposed(luacats.literal(value)),
        "moment": datetime.fromisoformat,
        "page_of_function": lambda path: page_of(*str(path).rsplit(".", 1)),
        "path": path,
        "pretty": lambda value: harmless(json.dumps(value, ensure_ascii=False, indent=2, default=str)),
        "short_page": lambda name: name.removeprefix("integrations."),
        "when": when,
    }
    return made


def path(name: object) -> Markup:
    """Return the path of a function, which may be broken after a dot or an underscore where there is little room."""
    return Markup(_SIGN.sub(r"\g<0><wbr>", str(escape(exposed(str(name))))))


def duration(seconds: float) -> str:
    """Return a time as people read it: ``340 ms``, ``1.2 s``, ``2 min 5 s``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min {seconds % MINUTE:.0f} s"
    return f"{seconds // HOUR:.0f} h {seconds % HOUR // MINUTE:.0f} min"


def when(moment: datetime | None, now: datetime | None = None) -> Markup:
    """Return a moment as time that went by since, with the moment itself for those who look closer.

    Args:
        moment: The moment; None is not known.
        now: The time now; by default the clock's.
    """
    if moment is None:
        return Markup("")
    seconds = ((now or datetime.now(timezone.utc)) - moment).total_seconds()
    exact = f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(moment.isoformat(), exact, _ago(seconds, moment))


def _ago(seconds: float, moment: datetime) -> str:
    if seconds < MINUTE:
        return "just now"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min ago"
    if seconds < DAY:
        return f"{seconds // HOUR:.0f} h ago"
    if seconds < 2 * DAY:
        return "yesterday"
    return f"{moment:%Y-%m-%d}" if seconds > 300 * DAY else f"{moment.day} {moment:%b}"
