"""The rendering of the website's pages: the filters of the templates, the static files, and the headers of answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from kosmolua.broker.used_accounts import ACCEPT
from kosmolua.errors import KosmoError, Paused, UnderWay
from kosmolua.escaping import exposed, harmless
from kosmolua.limits import LIMITS
from kosmolua.schema import luacats
from kosmolua.schema.names import page_of
from kosmolua.serve.pages.arguments import cut, given, shown_arguments
from kosmolua.serve.pages.markup import path, unlinked, with_code

PACKAGE = "kosmolua.serve.pages"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy: browsers load and run only files of this website, and no inline code."""
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
"""The content types of the static files that pages load, by file extension."""
MAX_GIVEN = 160
"""How many characters of a call's arguments stand beside its name."""
ADVICE = {ACCEPT: "run the script anew, as in the playground"} | {
    limit.remedy: " or ".join(filter(None, [limit.instead, f"raise {limit.name} in the limits of the tenant"]))
    for limit in LIMITS.values()
}
"""What people on the website can do in place of what a hint says to those at a command line."""
MINUTE, HOUR, DAY = 60, 3600, 86400


def render(
    template: str, context: Mapping[str, Any], *, part: str | None = None, status: int = 200, nonce: str = ""
) -> Response:
    """Render a template, or only its block ``part``, and return the HTTP answer with the HTML.

    Scripts of a page with a ``nonce`` can add style sheets that have it.
    """
    found = environment().get_template(template)
    blocks = found.blocks[part](found.new_context(dict(context))) if part else found.generate(context)
    text = "".join(blocks)
    headers = {**HEADERS, "Cache-Control": "no-store"}
    if nonce:
        headers["Content-Security-Policy"] = POLICY.replace("style-src 'self'", f"style-src 'self' 'nonce-{nonce}'")
    return HTMLResponse(text, status, headers)


def asset(name: str) -> Response:
    """Return the answer with a static file, such as a style sheet. If there is no such file, the status is 404.

    Browsers can cache the file forever, since its URL changes whenever its content changes.
    """
    found = _assets().get(name)
    if found is None:
        return Response("There is no such file.", 404, HEADERS)
    kept = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(found[0], headers={**HEADERS, **kept, "Content-Type": TYPES[name[name.rindex(".") :]]})


def asset_tag(name: str) -> str:
    """Return the ETag of a static file; empty if there is no such file."""
    return f'"{_assets()[name][1]}"' if name in _assets() else ""


def asset_path(name: str) -> str:
    """Return the URL of a static file, relative to the root of the website, with a hash of the file's content."""
    return f"/static/{name}?v={_assets()[name][1]}"


@lru_cache(maxsize=1)
def _assets() -> dict[str, tuple[bytes, str]]:
    """Return a dict from the name of each static file to its content and a hash of the content."""
    found = [each for each in (files(PACKAGE) / "static").iterdir() if each.name.endswith((*TYPES,))]
    contents = {each.name: each.read_bytes() for each in found}
    return {name: (content, sha256(content).hexdigest()[:12]) for name, content in contents.items()}


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the Jinja environment of the templates, with the filters. It escapes all values in the templates."""
    made = Environment(
        loader=PackageLoader(PACKAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {
        "advice": advice,
        "at": lambda seconds: datetime.fromtimestamp(seconds, timezone.utc),
        "clock": clock,
        "counted": counted,
        "cut": cut,
        "day": lambda moment: f"{moment.day} {moment:%B}",
        "duration": duration,
        "exposed": lambda text: exposed(str(text)),
        "given": lambda arguments: cut(exposed(given(arguments)), MAX_GIVEN),
        "harmless": harmless,
        "literal": lambda value: exposed(luacats.literal(value)),
        "markdown": lambda text: unlinked(harmless(text)),
        "milliseconds": lambda number: duration(number / 1000),
        "moment": datetime.fromisoformat,
        "page_of_function": lambda path: page_of(*str(path).rsplit(".", 1)),
        "path": path,
        "pretty": lambda value: harmless(json.dumps(value, ensure_ascii=False, indent=2, default=str)),
        "share": share,
        "since": since,
        "shown_arguments": shown_arguments,
        "short_page": lambda name: name.removeprefix("integrations."),
        "thousands": thousands,
        "when": when,
        "with_code": with_code,
    }
    return made


def advice(error: KosmoError) -> str:
    """Return what to do about an error, for people who do not use the command line."""
    if isinstance(error, Paused):
        return "approve or deny the calls that wait, here or in the Inbox"
    if isinstance(error, UnderWay):
        return "say on the page of the run, under “Was it done?”, whether it was done or has to be sent again"
    told = KosmoError("")
    told.hints = [ADVICE.get(hint, hint) for hint in error.hints]
    return told.hint or ""


def thousands(number: float) -> str:
    """Return a number with its thousands apart and at most two decimals, such as ``12,345`` or ``0.5``."""
    return f"{round(number, 2):,.15g}"


def counted(number: int, noun: str) -> str:
    """Return how many things there are, such as ``1 call`` or ``1,234 calls``."""
    return f"{thousands(number)} {noun if number == 1 else noun + 's'}"


def share(part: float, whole: float) -> str:
    """Return a part of a whole as a length in SVG, such as ``12.50%``, and at most all of it."""
    return f"{min(part / whole, 1):.2%}"


def duration(seconds: float) -> str:
    """Return a duration as text, such as ``40 µs``, ``340 ms``, ``1.2 s`` or ``2 min 5 s``."""
    if 0 < seconds < 0.001:
        return f"{seconds * 1_000_000:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min {seconds % MINUTE:.0f} s"
    return f"{seconds // HOUR:.0f} h {seconds % HOUR // MINUTE:.0f} min"


def clock(moment: datetime) -> Markup:
    """Return the time of a day in UTC as HTML, which the website's script replaces by that of the reader's clock."""
    return _time(moment, f"{moment.astimezone(timezone.utc):%H:%M:%S} UTC", "data-clock")


def since(moment: datetime) -> Markup:
    """Return how long a point in time is ago as HTML, such as ``2 min 5 s``, which the website's script counts on."""
    seconds = max(int((datetime.now(timezone.utc) - moment).total_seconds()), 0)
    return _time(moment, duration(seconds) if seconds >= MINUTE else f"{seconds} s", "data-since")


def when(moment: datetime | None, now: datetime | None = None) -> Markup:
    """Return a point in time as HTML text such as ``5 min ago``, with the exact time as its tooltip; empty for None.

    What the text says of a time of the last day is counted on by the website's script.
    """
    if moment is None:
        return Markup("")
    seconds = ((now or datetime.now(timezone.utc)) - moment).total_seconds()
    return _time(moment, _ago(seconds, moment), "data-ago" if -1 <= seconds < DAY else "")


def _time(moment: datetime, shown: str, mark: str = "") -> Markup:
    exact = f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}" {}>{}</time>').format(moment.isoformat(), exact, mark, shown)


def _ago(seconds: float, moment: datetime) -> str:
    if -DAY < seconds < -1:
        left = -seconds
        return f"in {left:.0f} s" if left < MINUTE else f"in {duration(left - left % MINUTE).removesuffix(' 0 s')}"
    if -1 <= seconds < MINUTE:
        return "just now"
    if 0 < seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min ago"
    if 0 < seconds < DAY:
        return f"{seconds // HOUR:.0f} h ago"
    if 0 < seconds < 2 * DAY:
        return "yesterday"
    return f"{moment:%Y-%m-%d}" if abs(seconds) > 300 * DAY else f"{moment.day} {moment:%b}"
