"""GraphQL over HTTP: one query or mutation, and the lists that come in connections."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from kosmolua.errors import ApiError, NetworkError
from kosmolua.http.client import Api, Sendable, decode
from kosmolua.http.errors import body_of, id_suffix, message_of
from kosmolua.http.messages import Response
from kosmolua.http.paging import by_cursor
from kosmolua.http.rate_limit import retry_after
from kosmolua.protocol import Json

Variables = Mapping[str, Sendable]
"""The values of an operation's variables, among which may be Secrets."""

_THROTTLED = ("RATE_LIMITED", "THROTTLED")
"""What GitHub and Shopify call an error that says that a rate limit was hit."""
_TOKEN = re.compile(
    r'#[^\r\n]*|"""(?:\\"""|(?!""").)*"""|"(?:\\.|[^"\\\r\n])*"|[_A-Za-z][_0-9A-Za-z]*|[^\s,\ufeff]', re.DOTALL
)


class Operation(NamedTuple):
    """One operation of a document: ``query``, ``mutation`` or ``subscription``, and its name, empty if it has none."""

    kind: str
    name: str


def graphql(
    api: Api,
    query: str,
    variables: Variables | None = None,
    /,
    *,
    path: str = "/graphql",
    operation: str | None = None,
    timeout: float | None = None,
) -> dict[str, Json]:
    """Send one operation and return its ``data``.

    A query is safe to repeat, as a GET is. A mutation is never repeated, and it is refused if a function that ``reads``
    sends it.

    Args:
        api: The client to ask.
        query: The document.
        variables: The values of its variables.
        path: Where the service takes it, below the client's base URL.
        operation: The name of the operation to run, for a document with several.
        timeout: Seconds that it may take, as in :meth:`Api.request`.

    Raises:
        ApiError: The answer has ``errors``, also beside data; its ``body`` has both.
        NetworkError: The service could not be reached, or its answer is not one of GraphQL.
        ValueError: The document has no such operation, or it is a subscription, which has no single answer.
    """
    chosen = _chosen(query, operation)
    if chosen.kind == "subscription":
        raise ValueError("a subscription has no single answer: send a query or a mutation")
    body: dict[str, Sendable] = {"query": query, "variables": dict(variables or {})}
    if operation is not None:
        body["operationName"] = operation
    mutates = chosen.kind == "mutation"
    return _data_of(api.fetch("POST", path, {}, json=body, timeout=timeout, safe=not mutates, mutates=mutates))


def by_connection(
    api: Api,
    query: str,
    variables: Variables | None = None,
    /,
    *,
    at: str,
    cursor: str = "after",
    path: str = "/graphql",
    operation: str | None = None,
    timeout: float | None = None,
) -> Iterator[Json]:
    """Yield the nodes of every page of a connection; a page is fetched when its first node is needed.

    The query has to ask for ``pageInfo { hasNextPage endCursor }``, and for ``nodes`` or ``edges { node }``. Nodes that
    are null are left out.

    Args:
        api: The client to ask.
        query: The document.
        variables: The values of its variables, without that of the cursor.
        at: Where the connection is in the data, as in ``repository.issues``.
        cursor: The name of the variable for the cursor, which is null for the first page.
        path: As :func:`graphql` takes it.
        operation: As :func:`graphql` takes it.
        timeout: Seconds that each page may take.

    Raises:
        ApiError: As :func:`graphql` does.
        NetworkError: As :func:`graphql` does, or there is no connection in that place.
    """

    def fetch(after: str | None) -> tuple[list[Json], str | None]:
        given = {**(variables or {}), cursor: after}
        data = graphql(api, query, given, path=path, operation=operation, timeout=timeout)
        return _page_of(data, at)

    return by_cursor(fetch)


def operations(query: str) -> list[Operation]:
    """Return the operations of a document in order, without its fragments.

    Raises:
        ValueError: It defines something that cannot be run.
    """
    found: list[Operation | None] = []
    head: list[str] = []
    depth = 0
    for token in _TOKEN.findall(query):
        if token in ("{", "(", "["):
            if token == "{" and depth == 0:
                found.append(_operation(head))
                head = []
            depth += 1
        elif token in ("}", ")", "]"):
            depth -= 1
        elif depth == 0 and token[0] not in '#"':
            head.append(token)
    return [each for each in found if each]


def _operation(head: list[str]) -> Operation | None:
    """Return what a definition is by the words before its braces, or None if it is a fragment."""
    kind, *rest = head or ["query"]
    if kind == "fragment":
        return None
    if kind not in ("query", "mutation", "subscription"):
        raise ValueError(f"{kind!r} is not an operation of GraphQL")
    return Operation(kind, rest[0] if rest and rest[0] != "@" else "")


def _chosen(query: str, name: str | None) -> Operation:
    known = operations(query)
    fitting = [each for each in known if name is None or each.name == name]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(each.name or "one without a name" for each in known) or "none"
    wanted = "one operation, or operation= says which" if name is None else f"an operation {name!r}"
    raise ValueError(f"the document must have {wanted}; it has {names}")


def _data_of(response: Response) -> dict[str, Json]:
    """Return the data of an answer, or raise the errors in it."""
    answer = decode(response)
    errors = answer.get("errors") if isinstance(answer, dict) else None
    if errors:
        limited = isinstance(errors, list) and any(_is_throttled(each) for each in errors)
        raise ApiError(
            f"{_asked(response)} was answered with errors: {message_of(response)}{id_suffix(response)}",
            status=response.status,
            limited=limited,
            retryable=limited,
            retry_after=retry_after(response) if limited else None,
            request_id=response.request_id,
            body=body_of(response),
        )
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        raise NetworkError(f"{_asked(response)} was answered without data or errors", retryable=False)
    return data


def _is_throttled(error: Json) -> bool:
    if not isinstance(error, dict):
        return False
    extensions = error.get("extensions")
    code = extensions.get("code") if isinstance(extensions, dict) else None
    return error.get("type") in _THROTTLED or code in _THROTTLED


def _asked(response: Response) -> str:
    return response.request.line if response.request else "A request"


def _page_of(data: Json, at: str) -> tuple[list[Json], str | None]:
    """Return the nodes of a connection, and the cursor of the next page or None."""
    found = data
    for key in at.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    page = found if isinstance(found, dict) else {}
    info, nodes, edges = (page.get(key) for key in ("pageInfo", "nodes", "edges"))
    if not isinstance(nodes, list) and isinstance(edges, list):
        nodes = [each.get("node") for each in edges if isinstance(each, dict)]
    if not isinstance(nodes, list) or not isinstance(info, dict):
        raise NetworkError(f"{at} in the answer is not a connection with pageInfo, and nodes or edges", retryable=False)
    cursor = info.get("endCursor") if info.get("hasNextPage") else None
    return [each for each in nodes if each is not None], str(cursor) if cursor else None
