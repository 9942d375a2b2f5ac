"""The value of a service's response for a script."""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

from kosmolua.errors import ConfigError, NetworkError
from kosmolua.expressions import regex
from kosmolua.http.binary import binary, media_type
from kosmolua.http.client import decode
from kosmolua.http.messages import Response, location
from kosmolua.openapi.operations import is_json
from kosmolua.openapi.xml_values import XmlReader, is_xml
from kosmolua.protocol import Json
from kosmolua.secret import Secret

_TEXT = regex(r"text/.*|.*xml|application/(javascript|graphql)")
_HTML = ("text/html", "application/xhtml+xml")
_LINES = regex(r"(application|text)/(x-)?(ndjson|jsonl|json-?lines|json-seq|stream\+json)")
_YAML = regex(r"(application|text)/((x-|vnd\.)?yaml|.*\+yaml)")
_CREDENTIAL = regex(
    r"(?!.*(page|next|continuation|idempotency)).*"
    r"(authorization|cookie2|token|secret|password|jwt|session|session[-_]?id|(api|auth|access)[-_]?key)"
)
"""Matches the name of a header that is a credential, in lower case."""
_DOCUMENTS = regex(r"(?m)^---\s[^\0]*^---\s|^\.\.\.\s*\S")
_SLOW = ("punycode", "idna")
"""Encodings of host names, which take quadratic time."""
_CHARSET = regex(r";\s*charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)


def is_decoded(media: str) -> bool:
    """Return True for media types whose content a script gets as a value: JSON, lines of JSON, and YAML."""
    return is_json(media) or bool(_LINES.match(media) or _YAML.match(media))


def is_text(media: str) -> bool:
    """Return True for media types whose content a script gets as a string."""
    return bool(_TEXT.fullmatch(media))


def value_of(response: Response, media: Collection[str] = (), xml: XmlReader | None = None) -> Json:
    """Convert a response for a script: decoded JSON, lines of JSON, YAML or XML, text, ``{ status }`` without content,
    else a table with base64.

    ``media`` are the types that the document declares; without ``xml``, which reads it by the schema, XML is text.

    Raises:
        NetworkError: It is not what its media type says, or a web page although the document promises JSON.
    """
    if not response.body:
        return _empty(response)
    kind = media_type(response)
    if _LINES.fullmatch(kind):
        lines = filter(None, map(bytes.strip, re.split(rb"[\n\x1e]", response.body)))
        return decode(replace(response, body=b"[" + b",".join(lines) + b"]"))
    if is_json(kind) or (kind in _HTML and _is_no_page(response, media)):
        return decode(response)
    if not kind:
        return _unnamed(response)
    if _YAML.fullmatch(kind):
        return _yaml(_text(response))
    if xml and is_xml(kind):
        return _by_schema(xml, response)
    return _text(response) if is_text(kind) else cast("Json", binary(response))


def whole_of(response: Response, media: Collection[str] = (), xml: XmlReader | None = None) -> Json:
    """Return status, headers and body of a response, headers in lower case and without cookies.

    Headers that are credentials are secrets. ``media``, ``xml`` and errors are those of :func:`value_of`; an empty
    response has no ``body``.
    """
    named = [(name.lower(), value) for name, value in response.headers.items() if name.lower() != "set-cookie"]
    headers: dict[str, Any] = {
        name: Secret(value) if value and _CREDENTIAL.fullmatch(name) else value for name, value in named
    }
    body = {"body": value_of(response, media, xml)} if response.body else {}
    return {"status": response.status, "headers": headers, **body}


def _empty(response: Response) -> Json:
    """Return what a script gets of a response without content: the status, and where to find what is made."""
    found: dict[str, Json] = {"status": response.status}
    if response.status in (201, 202) and response.request and (place := location(response.request, response)):
        found["location"] = place
    return found


def _is_no_page(response: Response, media: Collection[str]) -> bool:
    """Return True if the document promises JSON, and neither it nor the request says anything of web pages."""
    asked = str(response.request.headers.get("Accept", "")) if response.request else ""
    promised = [each for each in media if is_json(each) and "*" not in each]
    return bool(promised) and "html" not in asked and not any("html" in each for each in media)


def _text(response: Response) -> str:
    """Return the text in the charset that the response names, else in UTF-8."""
    named = _CHARSET.search(response.header("Content-Type") or "")
    with suppress(LookupError, UnicodeError):
        if named and codecs.lookup(named[1]).name not in _SLOW:
            return response.body.decode(named[1])
    return response.text()


def _yaml(text: str) -> Json:
    """Decode YAML; text with several documents, or that cannot be read, stays text."""
    from kosmolua.openapi.document import parsed_yaml

    if _DOCUMENTS.search(text):
        return text
    try:
        return parsed_yaml(text, "the reply")
    except ConfigError:
        return text


def _by_schema(xml: XmlReader, response: Response) -> Json:
    try:
        return xml.read(response, _text(response))
    except ValueError as error:
        what = f"{response.asked} was answered with XML that cannot be read: {error}"
        raise NetworkError(what, retryable=False) from None


def _unnamed(response: Response) -> Json:
    """Convert a response without a media type: JSON, else a string, else a table with base64."""
    with suppress(NetworkError):
        return decode(response)
    try:
        return response.body.decode()
    except UnicodeDecodeError:
        return cast("Json", binary(response))
