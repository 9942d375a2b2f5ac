"""Lists that come in pages, fetched whole."""

from __future__ import annotations

from itertools import islice

import pytest

from kosmolua.errors import ApiError, NetworkError
from kosmolua.http.client import Api
from kosmolua.http.messages import Request, Response
from kosmolua.http.paging import by_cursor, by_link, by_page, next_link

BASE = "https://api.example.com/v1"


def test_by_cursor_ends_without_a_cursor() -> None:
    """Each page is asked for with the cursor of the one before; None ends it."""
    pages = {None: (["a", "b"], "c1"), "c1": ([], "c2"), "c2": (["c"], None)}
    assert list(by_cursor(pages.__getitem__)) == ["a", "b", "c"]


@pytest.mark.parametrize("last", ["c1", "", None])
def test_by_cursor_ends_at_a_cursor_that_was_there(last: str | None) -> None:
    """A service that gives the last cursor again, or an empty one, is not asked for ever."""
    asked: list[str | None] = []

    def fetch(cursor: str | None) -> tuple[list[int], str | None]:
        asked.append(cursor)
        return [len(asked)], "c1" if cursor is None else last

    assert list(by_cursor(fetch)) == [1, 2]
    assert asked == [None, "c1"]


def test_by_cursor_ends_in_a_circle() -> None:
    """Cursors that lead in a circle end as well."""
    following = {None: "a", "a": "b", "b": "a"}
    assert len(list(by_cursor(lambda cursor: ([1], following[cursor])))) == 3


def test_pages_are_fetched_when_needed() -> None:
    """Whoever stops after three items has not fetched the second page."""
    asked: list[int] = []

    def fetch(page: int) -> list[int]:
        asked.append(page)
        return [1, 2, 3]

    assert list(islice(by_page(fetch, size=3), 3)) == [1, 2, 3]
    assert asked == [1]


@pytest.mark.parametrize(("total", "calls"), [(0, 1), (2, 1), (3, 2), (7, 3)])
def test_by_page_ends_at_a_short_page(total: int, calls: int) -> None:
    """A page with fewer items than its size is the last; a full one may be, which costs one more call."""
    asked: list[int] = []

    def fetch(page: int) -> list[int]:
        asked.append(page)
        return list(range(total))[3 * (page - 1) : 3 * page]

    assert list(by_page(fetch, size=3)) == list(range(total))
    assert asked == list(range(1, calls + 1))


def linked(*pages: tuple[bytes, str]) -> tuple[Api, list[Request]]:
    """Return a client whose service answers with these bodies and Link headers, and the requests it gets."""
    requests: list[Request] = []

    def send(request: Request) -> Response:
        requests.append(request)
        body, link = pages[len(requests) - 1]
        return Response(200, {"link": link} if link else {}, body)

    return Api(send, BASE), requests


def test_by_link_follows_next() -> None:
    """Absolute and relative targets lead on, with the query that they carry; no next link ends it."""
    api, requests = linked(
        (b"[1]", f'<{BASE}/repos/7/issues?page=2&per_page=1>; rel="next", <{BASE}/x>; rel="last"'),
        (b"[2]", '<?page=3>; rel="prev NEXT"'),
        (b"[3]", f'<{BASE}/x>; rel="prev"'),
    )
    assert list(by_link(api, "/repos/{repo}/issues", query={"per_page": 1}, repo="a b")) == [1, 2, 3]
    assert [(request.url, request.query) for request in requests] == [
        (f"{BASE}/repos/a%20b/issues", (("per_page", "1"),)),
        (f"{BASE}/repos/7/issues", (("page", "2"), ("per_page", "1"))),
        (f"{BASE}/repos/7/issues", (("page", "3"),)),
    ]


def test_by_link_reads_a_list_inside_an_object() -> None:
    """A page can be an object with the list under a key; no key there is an empty page."""
    api, _ = linked((b'{"items": [1], "total": 2}', "<?page=2>; rel=next"), (b'{"total": 2}', ""))
    assert list(by_link(api, "/search", items="items")) == [1]


@pytest.mark.parametrize(("body", "says"), [(b'{"items": 1}', "A page"), (b'"x"', "A page")])
def test_by_link_needs_a_list(body: bytes, says: str) -> None:
    """A page that is no list is an error, not its keys."""
    api, _ = linked((body, ""))
    with pytest.raises(NetworkError, match=f"{says} of the list is not a JSON array"):
        list(by_link(api, "/x"))


@pytest.mark.parametrize(
    "target", ["https://evil.example/v1/x?page=2", "//evil.example/x", "http://api.example.com/v1/x"]
)
def test_by_link_stays_at_its_origin(target: str) -> None:
    """A next page elsewhere is not fetched: the credential would go there."""
    api, requests = linked((b"[1]", f'<{target}>; rel="next"'))
    with pytest.raises(NetworkError, match="must not go there"):
        list(by_link(api, "/x"))
    assert len(requests) == 1


def test_by_link_ends_in_a_circle() -> None:
    """A page that names itself as the next is fetched once more at most."""
    api, requests = linked(*[(b"[1]", "<?page=2>; rel=next")] * 5)
    assert list(by_link(api, "/x")) == [1, 1]
    assert len(requests) == 2


def test_by_link_with_an_address_that_is_none() -> None:
    """Nonsense in the header is a sentence, not a Python error."""
    api, _ = linked((b"[1]", "<https://[bad/>; rel=next"))
    with pytest.raises(NetworkError, match="address"):
        list(by_link(api, "/x"))


def test_by_link_raises_what_a_later_page_raises() -> None:
    """An error on page two is an error of the whole list."""
    answers = iter([Response(200, {"Link": "<?page=2>; rel=next"}, b"[1]"), Response(500, {}, b"")])
    with pytest.raises(ApiError, match="500"):
        list(by_link(Api(lambda request: next(answers), BASE), "/x"))


@pytest.mark.parametrize(
    ("header", "target"),
    [
        (None, None),
        ("", None),
        ("<a>; rel=next", "a"),
        ('<a>;rel="next"', "a"),
        ('<a,b;c>; title="x, <y>; rel=next"; rel="last", <d>; rel="next"', "d"),
        ("<a>; rel=prev; rel=next", None),
        ('<a>; anchor="#x"; rel=next', None),
        ("<a>; foo; REL=Next", "a"),
        ("<>; rel=next", ""),
        ("a; rel=next", None),
        ("<a" + "; x" * 5000, None),
    ],
)
def test_next_link(header: str | None, target: str | None) -> None:
    """The header is read as RFC 8288 writes it: quoted strings, several relations, the first rel counts."""
    assert next_link(Response(200, {} if header is None else {"Link": header})) == target
