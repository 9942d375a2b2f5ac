"""GraphQL: which operation a text holds, what is sent, and which answers are errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from support.loopback import Loopback

from kosmolua.errors import ApiError, NetworkError, PluginFault
from kosmolua.http.graphql_document import read_document
from kosmolua.http.transport import Transport
from kosmolua.plugin import Api, Integration, Request, Response, Send, by_connection, graphql
from kosmolua.secret import Secret
from kosmolua.testing import Playground

BASE = "https://api.example.com"
MUTATION = "mutation { pin(id: 1) { id } }"


def answering(*bodies: object) -> tuple[Api, list[Request]]:
    """Return a client whose service gives these bodies in order, and the list of what it was sent."""
    sent: list[Request] = []
    answers = iter(bodies)

    def send(request: Request) -> Response:
        sent.append(request)
        return Response(200, {"X-Request-Id": "r-1"}, json.dumps(next(answers)).encode())

    return Api(send, BASE), sent


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{ me { id } }", [("query", "")]),
        ("query Me { me { id } }", [("query", "Me")]),
        ("query($a: In = {x: [1]}, $mutation: Int) @d(y: {z: 1}) { me }", [("query", "")]),
        ("query @mutation { me }", [("query", "")]),
        ("\ufeff# mutation {}\n,, mutation  Pin\n{ pin }", [("mutation", "Pin")]),
        ('"""mutation { a } \\""" still"""\nquery Q { me(a: "} mutation M {", b: """ " } """) }', [("query", "Q")]),
        ("fragment mutation on User { id }\n{ me { ...mutation } }", [("query", "")]),
        ("{ mutation: me subscription }", [("query", "")]),
        (
            "query A { a { b } } mutation B { c } subscription C { d }",
            list(zip(("query", "mutation", "subscription"), "ABC", strict=True)),
        ),
        ("fragment F on User { id }", []),
    ],
)
def test_the_operations_of_a_document(text: str, found: list[tuple[str, str]]) -> None:
    """Words in comments, strings, names, variables and selections are no operations."""
    assert [(each.kind, each.name) for each in read_document(text).operations] == found


def test_a_query_over_the_wire() -> None:
    """Text and variables are the JSON of a POST, a Secret among them; a query is sent again after a 503."""
    answers = iter([Response(503), Response(200, {}, b'{"data":{"me":{"id":7}}}')])
    with Loopback(lambda request: next(answers)) as service:
        api = Api(Transport(backoff=lambda retry: 0.01).send, service.url)
        document = "query A($key: ID!) { me(key: $key) { id } } query B { you }"
        assert graphql(api, document, {"key": Secret("s3cret")}, operation="A") == {"me": {"id": 7}}
    sent = [
        (request.method, request.url.rpartition("/")[2], json.loads(request.content)) for request in service.requests
    ]
    assert sent == [("POST", "graphql", {"query": document, "variables": {"key": "s3cret"}, "operationName": "A"})] * 2


def test_a_mutation_is_sent_once() -> None:
    """It may have been done, so no 503 has it repeated."""
    with Loopback(lambda request: Response(503)) as service, pytest.raises(ApiError) as caught:
        graphql(Api(Transport(backoff=lambda retry: 0.01).send, service.url), MUTATION)
    assert len(service.requests) == 1
    assert caught.value.retryable is False


@pytest.mark.parametrize(
    ("text", "operation", "says"),
    [
        ("subscription { news }", None, "a subscription has no single answer"),
        ("query A { a } mutation B { b }", None, "operation= names one; it has A, B"),
        ("query A { a }", "B", "must have an operation 'B'; it has A"),
        ("fragment F on User { id }", None, "it has none"),
        ("type User { id: ID }", None, "'type' is not an operation"),
    ],
)
def test_a_document_without_one_operation(text: str, operation: str | None, says: str) -> None:
    """It is a slip of the author, and nothing is sent."""
    api, sent = answering()
    with pytest.raises(ValueError, match=says):
        graphql(api, text, operation=operation)
    assert not sent


def test_errors_beside_data_are_an_error() -> None:
    """The message has each with its place, the body has all that came, and no secret of the request is shown."""
    errors = [{"message": "no such issue s3cret-key", "path": ["me", "issues", 0]}, {"message": "too deep"}]
    api, _ = answering({"data": {"me": None}, "errors": errors})
    with pytest.raises(
        ApiError, match=r"answered with errors: me\.issues\.0: no such issue \*\*\*; too deep"
    ) as caught:
        graphql(api, "query ($k: ID) { me(k: $k) { issues } }", {"k": Secret("s3cret-key")})
    error = caught.value
    assert error.code == "api_error"
    assert error.status == 200
    assert error.request_id == "r-1"
    assert error.retryable is False
    assert error.body == {"data": {"me": None}, "errors": [{**errors[0], "message": "no such issue ***"}, errors[1]]}


@pytest.mark.parametrize("error", [{"type": "RATE_LIMITED"}, {"extensions": {"code": "THROTTLED"}}])
def test_a_rate_limit_among_the_errors(error: dict[str, object]) -> None:
    """Services that answer 200 also then say so in the error."""
    api, _ = answering({"errors": [{"message": "slow down", **error}]})
    with pytest.raises(ApiError, match="slow down") as caught:
        graphql(api, "{ me }")
    assert caught.value.code == "rate_limited"
    assert caught.value.retryable is True


@pytest.mark.parametrize("body", [{}, [], {"data": None}, {"data": None, "errors": []}, "x"])
def test_an_answer_that_is_not_one_of_graphql(body: object) -> None:
    """Without data and errors nothing can be returned."""
    api, _ = answering(body)
    with pytest.raises(NetworkError, match="without data or errors"):
        graphql(api, "{ me }")


@pytest.mark.parametrize(
    "wrapped", [lambda nodes: {"nodes": nodes}, lambda nodes: {"edges": [{"node": n} for n in nodes]}]
)
def test_pages_of_a_connection(wrapped: Callable[[list[object]], dict[str, object]]) -> None:
    """Each page is asked for by the cursor of the one before, and not before its first node is needed."""
    first = {**wrapped([1, None, 2]), "pageInfo": {"hasNextPage": True, "endCursor": "c-1"}}
    last = {**wrapped([3]), "pageInfo": {"hasNextPage": False, "endCursor": "c-2"}}
    api, sent = answering(*({"data": {"repo": {"issues": page}}} for page in (first, last)))
    nodes = by_connection(api, "query { x }", {"size": 2}, at="repo.issues", cursor="from")
    assert not sent
    assert [next(nodes), next(nodes), len(sent)] == [1, 2, 1]
    assert list(nodes) == [3]
    assert [json.loads(request.content)["variables"] for request in sent] == [
        {"size": 2, "from": None},
        {"size": 2, "from": "c-1"},
    ]


@pytest.mark.parametrize("data", [{"repo": None}, {"repo": {"issues": {"nodes": []}}}, {"repo": {"issues": []}}])
def test_a_place_without_a_connection(data: dict[str, object]) -> None:
    """It is said, and not taken for an empty list."""
    api, _ = answering({"data": data})
    with pytest.raises(NetworkError, match=r"repo\.issues in the answer is not a connection"):
        list(by_connection(api, "{ x }", at="repo.issues"))


@dataclass(frozen=True)
class Account:
    """One notebook."""

    def open(self, send: Send) -> Api:
        return Api(send, BASE)


integration = Integration("pins", Account, about="Pins of a board.")


@integration.reads
def get_pin(api: Api, /) -> dict:
    """Get a pin, or so it says."""
    return graphql(api, MUTATION)


@integration.writes
def add_pin(api: Api, /) -> dict:
    """Add a pin."""
    return graphql(api, MUTATION)


def test_a_function_that_reads_sends_no_mutation() -> None:
    """What was registered as a read needs no permission to write, so its mutation stays here."""
    play = Playground(integration, {("POST", "/graphql"): {"data": {"pin": {"id": 1}}}})
    with pytest.raises(
        PluginFault, match=r"get_pin may only read, but POST .* may change something, so it was not sent"
    ):
        play.call("pins.get_pin")
    assert not play.requests
    assert play.call("pins.add_pin") == {"pin": {"id": 1}}


def test_fragments_cost_no_more_than_their_text() -> None:
    """A field in fragments that are spread many times counts once; a long chain of fragments, or a cycle, ends."""
    twice = " ".join(f"fragment F{each} on Q {{ ...F{each + 1} ...F{each + 1} }}" for each in range(2_000))
    document = read_document(f"{{ ...F0 }} {twice} fragment F2000 on Q {{ a ...F0 }}")
    assert [each.name for each in document.fields(document.chosen().selections)] == ["a"]
