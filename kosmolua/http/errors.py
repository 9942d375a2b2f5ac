"""What an error answer says: the sentence in its body, be it JSON of any shape, HTML or text."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import cast

from kosmolua.http.messages import Response
from kosmolua.protocol import Json
from kosmolua.secret import Redactor

LONGEST = 300
"""Characters of a service's own words that a message quotes."""
LOOK_FIRST = "it may have been done all the same: look before you try again"
"""The hint for a write that failed after the service may have got it."""
MAX_BODY = 16 * 1024
"""Characters of a service's answer that an error keeps."""
_TELLING = ("message", "error", "error_description", "detail", "title", "errors")
_DEEPEST = 4
_MOST_READ = 20_000
_TITLE = re.compile(r"<title[^>]*>([^<]*)</title", re.IGNORECASE)
_UNSEEN = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


def reason_of(response: Response) -> str:
    """Return what an answer says went wrong, on one line.

    Of JSON it is ``message``, ``error``, ``detail`` (RFC 9457) and what is nested in ``errors``; of HTML it is the
    title or else the text; anything else is quoted. It shows no secret of the request, and so no beginning of one
    where it is cut.
    """
    redactor = _redactor_of(response)
    try:
        said = _words(response.json(), _DEEPEST)
    except (ValueError, RecursionError):
        said = _without_markup(redactor.text(response.text())[:_MOST_READ])
    return one_line(redactor.text(said)) or "no reason given"


def body_of(response: Response) -> Json:
    """Return what an error answer holds, without the secrets of its request, or None if it is empty.

    It is decoded if it is JSON of at most :data:`MAX_BODY` characters; otherwise it is the beginning of the text.
    """
    redactor = _redactor_of(response)
    text = redactor.text(response.text())
    if len(text) <= MAX_BODY:
        with suppress(ValueError, RecursionError):
            return cast("Json", redactor.value(response.json()))
    return text[:MAX_BODY]


def _redactor_of(response: Response) -> Redactor:
    redactor = Redactor()
    for secret in response.request.secrets if response.request else ():
        redactor.learn(secret)
    return redactor


def one_line(text: str) -> str:
    """Return the beginning of a text, on one line and without control characters."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[:_MOST_READ]).split())
    return line if len(line) <= LONGEST else line[:LONGEST] + "..."


def _words(body: Json, depth: int) -> str:
    if isinstance(body, str):
        return body
    if body is None or depth == 0:
        return ""
    if isinstance(body, dict):
        return _words_of_object(body, depth)
    if isinstance(body, list):
        return "; ".join(filter(None, (_words(item, depth - 1) for item in body)))
    return str(body)


def _words_of_object(body: dict[str, Json], depth: int) -> str:
    telling = [_words(body[key], depth - 1) for key in _TELLING if body.get(key)]
    if any(telling):
        return ": ".join(dict.fromkeys(filter(None, telling)))
    return ", ".join(f"{key}: {words}" for key, item in body.items() if (words := _words(item, depth - 1)))


def _without_markup(text: str) -> str:
    if not text.lstrip().startswith("<"):
        return text
    from html import unescape

    title = _TITLE.search(text)
    return unescape(title[1] if title and title[1].strip() else _TAG.sub(" ", _UNSEEN.sub(" ", text)))
