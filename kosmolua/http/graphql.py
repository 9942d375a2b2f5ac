"""GraphQL over HTTP: sends queries and mutations, and reads all pages of lists that are GraphQL connections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kosmolua.errors import ApiError, NetworkError
from kosmolua.http.client import Api, Sendable, decode
from kosmolua.http.errors import body_of, id_suffix, message_of
from kosmolua.http.messages import Response
from kosmolua.http.paging import by_cursor
from kosmolua.http.rate_limit import retry_after
from kosmolua.protocol import Json

Variables = Mapping[str, Sendable]
"""The values of an operation's variables, which can contain Secrets."""

_THROTTLED = ("RATE_LIMITED", "THROTTLED")
"""The types of errors by which GitHub and Shopify report that a rate limit was hit."""


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
    """Send a GraphQL query or mutation and return the ``data`` of the response.

    A query is retried after a fault, like a GET. A mutation is never retried, and functions with the effect ``read``
    cannot send one.

    Args:
        api: The client of the service.
        query: The GraphQL document.
        variables: The values of the document's variables.
        path: The path of the service's GraphQL endpoint, below the client's base URL.
        operation: The name of the operation to run, if the document has several.
        timeout: Seconds that the request can take, including retries and waits.

    Raises:
        ApiError: The response has ``errors``, even if it also has data. The ``body`` of the ApiError contains both.
        NetworkError: The service could not be reached, or its response has neither data nor errors.
        ValueError: The document has no such operation, or the operation is a subscription, which has no single
            response.
    """
    from kosmolua.http.graphql_document import read_document

    chosen = read_document(query).chosen(operation)
    if chosen.kind == "subscription":
        raise ValueError("a subscription has no single answer: send a query or a mutation")
    body: dict[str, Sendable] = {"query": query, "variables": dict(variables or {})}
    if operation is not None:
        body["operationName"] = operation
    mutates = chosen.kind == "mutation"
    return data_of(api.fetch("POST", path, {}, json=body, timeout=timeout, safe=not mutates, mutates=mutates))


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
    """Yield the nodes of all pages of a GraphQL connection. A page is fetched when its first node is needed.

    The query must select ``pageInfo { hasNextPage endCursor }``, and ``nodes`` or ``edges { node }``. Nodes that are
    null are left out.

    Args:
        api: The client of the service.
        query: The GraphQL document.
        variables: The values of the document's variables, except for the cursor.
        at: The keys that lead to the connection in the data, such as ``repository.issues``.
        cursor: The name of the variable for the cursor, which is null for the first page.
        path: The path of the service's GraphQL endpoint, below the client's base URL.
        operation: The name of the operation to run, if the document has several.
        timeout: Seconds that the request for each page can take.

    Raises:
        ApiError: A response has ``errors``.
        NetworkError: The service could not be reached, or a response has no connection at ``at``.
        ValueError: The document has no such operation, or the operation is a subscription.
    """

    def fetch(after: str | None) -> tuple[list[Json], str | None]:
        given = {**(variables or {}), cursor: after}
        data = graphql(api, query, given, path=path, operation=operation, timeout=timeout)
        return _page_of(data, at)

    return by_cursor(fetch)


def data_of(response: Response) -> dict[str, Json]:
    """Return the ``data`` of a response.

    Raises:
        ApiError: The response has ``errors``.
        NetworkError: The response has neither data nor errors.
    """
    answer = decode(response)
    errors = answer.get("errors") if isinstance(answer, dict) else None
    if errors:
        limited = isinstance(errors, list) and any(_is_throttled(each) for each in errors)
        raise ApiError(
            f"{response.asked} was answered with errors: {message_of(response)}{_where(errors)}{id_suffix(response)}",
            status=response.status,
            limited=limited,
            retryable=limited,
            retry_after=retry_after(response) if limited else None,
            request_id=response.request_id,
            body=body_of(response),
        )
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        raise NetworkError(f"{response.asked} was answered without data or errors", retryable=False)
    return data


def _where(errors: Json) -> str:
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    extensions = first.get("extensions")
    code = first.get("type") or (extensions.get("code") if isinstance(extensions, dict) else None)
    path = first.get("path")
    where = f"at {'.'.join(map(str, path))}" if isinstance(path, list) and path else ""
    said = ", ".join(str(each) for each in (code, where) if each)
    return f" ({said})" if said else ""


def _is_throttled(error: Json) -> bool:
    if not isinstance(error, dict):
        return False
    extensions = error.get("extensions")
    code = extensions.get("code") if isinstance(extensions, dict) else None
    return error.get("type") in _THROTTLED or code in _THROTTLED


def _page_of(data: Json, at: str) -> tuple[list[Json], str | None]:
    found = data
    for key in at.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    page = found if isinstance(found, dict) else {}
    info, nodes, edges = (page.get(key) for key in ("pageInfo", "nodes", "edges"))
    if not isinstance(nodes, list) and isinstance(edges, list):
        nodes = [each.get("node") for each in edges if isinstance(each, dict)]
    if not isinstance(nodes, list) or not isinstance(info, dict):
        raise NetworkError(
            f"{at} in the answer is not a connection",
            retryable=False,
            hint=f"the query must select pageInfo, and nodes or edges, at {at}",
        )
    cursor = info.get("endCursor") if info.get("hasNextPage") else None
    return [each for each in nodes if each is not None], str(cursor) if cursor else None
