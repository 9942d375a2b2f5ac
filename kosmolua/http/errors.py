"""Errors of a service: a response with an error status as an :class:`ApiError`, with the service's message."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from kosmolua.errors import ApiError
from kosmolua.expressions import regex
from kosmolua.http.messages import Request, Response, location, origin
from kosmolua.http.rate_limit import is_throttled, retry_after
from kosmolua.protocol import Json, is_deeper
from kosmolua.secret import Redactor

MAX_QUOTED = 300
"""The most characters of a service's text that a message quotes."""
MAX_BODY = 16 * 1024
"""The most bytes of a service's response that are kept in an error's ``body``."""
LOOK_FIRST = "the request may have succeeded: check before you retry"
"""The hint for a write that failed although the service might have received it."""
_MESSAGES = (
    *("message", "error", "error_description", "detail", "title", "errors"),
    *("invalid-params", "invalid_params", "violations", "fieldViolations", "details"),
)
"""The keys in a JSON error that can say what is wrong, the most useful first."""
_FIELDS = ("field", "loc", "pointer", "parameter", "param", "attribute", "property", "source", "name", "path")
"""The keys that can name the wrong field, in one entry of a list of errors."""
_FIELD_MESSAGES = ("message", "msg", "detail", "description", "reason", "defaultMessage", "title")
"""The keys that can say what is wrong with the field, in one entry of a list of errors."""
_MAX_DEPTH = 5
_MAX_BODY_DEPTH = 32
_MAX_READ = 20_000
_TITLE = regex(r"<title[^>]*>([^<]*)</title", re.IGNORECASE)
_IN_XML = regex(r"<(?:[\w-]+:)?(?:error)?(?:message|faultstring|description)\b[^>]*>\s*([^<]*[^<\s])", re.IGNORECASE)
_CODE_IN_XML = regex(r"<(?:[\w-]+:)?(?:error|fault)?code\b[^>]*>\s*([^<]*[^<\s])", re.IGNORECASE)
_UNSEEN = regex(r"<(script|style|head)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_TAG = regex(r"<[^>]*>")


def error_of(request: Request, response: Response) -> ApiError:
    """Return the error for an error status, or a redirect that was not followed."""
    wait, throttled = retry_after(response), is_throttled(response)
    sent = response.request or request
    said = message_of(response) if response.status >= 400 else _message_of_redirect(sent, response)
    elsewhere = "" if origin(sent.url) == origin(request.url) else f" redirected to {origin(sent.url)}, which"
    return ApiError(
        f"{request.method} {urlsplit(request.url).path} was{elsewhere} answered {response.status}: "
        f"{said}{id_suffix(response)}",
        status=response.status,
        limited=throttled,
        retryable=throttled or (request.safe and response.status >= 500),
        retry_after=wait,
        request_id=response.request_id,
        body=body_of(response),
        location=location(sent, response) or None,
        hint=None if elsewhere else _hint(request, response, wait),
    )


def message_of(response: Response) -> str:
    """Return the error message in a response, on one line.

    In JSON, it is taken from keys such as ``message``, ``error`` and ``detail`` (RFC 9457), and from ``errors``, each
    with its field; in XML, from code and message. In HTML, it is the title, else the text; of a page without any, its
    content type is told. Secrets of the request are masked before a long message is cut, so that not even the beginning
    of one is shown.
    """
    redactor = response.request.redactor if response.request else Redactor()
    try:
        said = _words(response.json(), _MAX_DEPTH)
    except (ValueError, RecursionError):
        said = _without_markup(redactor.text(response.text())[:_MAX_READ])
        kind = (response.header("Content-Type") or "").partition(";")[0]
        if kind and not said.strip():
            said = f"{kind} without words"
    return one_line(redactor.text(said)) or "no reason given"


def body_of(response: Response) -> Json:
    """Return the body for a script: decoded JSON, text, or None; without secrets of the request.

    Text is cut after :data:`MAX_BODY` bytes. JSON that is larger or deeply nested is returned as text.
    """
    redactor = response.request.redactor if response.request else Redactor()
    if len(response.body) <= MAX_BODY:
        try:
            value = response.json()
        except (ValueError, RecursionError):
            pass
        else:
            if not is_deeper(value, _MAX_BODY_DEPTH):
                redacted: Json = redactor.value(value)  # type: ignore[assignment]
                return redacted
    text = redactor.text(response.text()).encode("utf-8", "replace")
    return text[:MAX_BODY].decode("utf-8", "ignore") or None


def id_suffix(response: Response) -> str:
    """Return text to append to a message: the id that the service gave the request, if any."""
    return f" [request {response.request_id}]" if response.request_id else ""


def one_line(text: str) -> str:
    """Return a text on one line, without control characters, cut after :data:`MAX_QUOTED` characters."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[:_MAX_READ]).split())
    return line if len(line) <= MAX_QUOTED else line[:MAX_QUOTED] + "..."


def _message_of_redirect(request: Request, response: Response) -> str:
    if response.status == 304:
        return "the resource has not changed"
    target = location(request, response)
    if not target:
        return "this is neither an answer nor an error, and names no address"
    if origin(target) != origin(request.url):
        elsewhere = origin(target) or "another address"
        if not request.safe:
            return f"it redirects to {elsewhere}, which was not followed, since it must not get the credential"
        return f"it redirects to {elsewhere}, which was not followed: only public https addresses are"
    why = "" if request.safe else ", since no write is sent twice"
    return f"it redirects to {urlsplit(target).path}, which was not followed{why}"


def _hint(request: Request, response: Response, wait: float | None) -> str | None:
    if is_throttled(response):
        return None if wait is None else f"rate limited: retry in {wait:.0f} s"
    if response.status == 401:
        return "the account's credential is missing, wrong or expired; see kosmolua accounts check"
    if response.status == 403:
        return "the account's credential does not permit this"
    if response.status >= 500 and not request.safe:
        return LOOK_FIRST
    return None


def _words(body: Json, depth: int) -> str:
    if isinstance(body, str):
        return body
    if body is None or depth == 0:
        return ""
    if isinstance(body, dict):
        messages = [_words(body[key], depth - 1) for key in _MESSAGES if body.get(key)]
        if any(messages):
            once = [*dict.fromkeys(filter(None, messages))]
            return ": ".join(each for each in once if not any(each in other for other in once if other != each))
        return ", ".join(f"{key}: {words}" for key, item in body.items() if (words := _words(item, depth - 1)))
    if isinstance(body, list):
        return "; ".join(filter(None, (_field_error(item) or _words(item, depth - 1) for item in body)))
    return str(body)


def _field_error(item: Json) -> str | None:
    """Return an entry of a list of errors as ``field: message``, or None if it lacks either.

    Known are FastAPI (``loc``, ``msg``), RFC 9457 (``pointer``, ``detail``), JSON:API (``source``), GitHub (``field``,
    ``message``) and similar ones.
    """
    if not isinstance(item, dict):
        return None
    message = next((item[key] for key in _FIELD_MESSAGES if isinstance(item.get(key), str) and item[key]), None)
    field = next((place for key in _FIELDS if (place := _field_name(item.get(key)))), None)
    return f"{field}: {message}" if field and message else None


def _field_name(value: Json) -> str:
    """Return the field that an error is about, such as ``user.age``, or an empty string."""
    if isinstance(value, dict):
        value = value.get("pointer") or value.get("parameter") or value.get("header")
    if isinstance(value, list):
        return ".".join(str(part) for part in value if isinstance(part, (str, int)))
    if not isinstance(value, str):
        return ""
    return value.lstrip("#/").replace("/", ".") if value.startswith(("#/", "/")) else value


def _without_markup(text: str) -> str:
    if not text.lstrip().startswith("<"):
        return text
    from html import unescape

    if said := _IN_XML.findall(text):
        codes = _CODE_IN_XML.findall(text)[:1]
        return unescape(": ".join([*codes, *dict.fromkeys(said)]))
    title = _TITLE.search(text)
    return unescape(title[1] if title and title[1].strip() else _TAG.sub(" ", _UNSEEN.sub(" ", text)))
