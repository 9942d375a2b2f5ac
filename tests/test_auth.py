"""How a request carries its credential."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pytest

from kosmolua.errors import BadArguments
from kosmolua.http.auth import Auth, Basic, Bearer, CookieKey, HeaderKey, QueryKey, Several, with_header
from kosmolua.http.aws import AwsSignature
from kosmolua.http.client import Api
from kosmolua.http.messages import Request, Response
from kosmolua.secret import Secret

OTHER = Secret("other_KEY_0123")
KEY = Secret("rnd_SECRET_KEY")
BASE = "https://api.example.com/v1"


def sent(auth: Auth | None, *, headers: dict[str, str] | None = None, **settings: Secret) -> Request:
    """Return the request that a client with this authentication sends."""
    requests: list[Request] = []

    def send(request: Request) -> Response:
        requests.append(request)
        return Response(200, {}, b"{}")

    Api(send, BASE, auth=auth, **settings).get("/x", query={"a": 1}, headers=headers)
    return requests[0]


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [
        (Bearer(KEY), "Authorization", "Bearer rnd_SECRET_KEY"),
        (Basic("ann", KEY), "Authorization", "Basic YW5uOnJuZF9TRUNSRVRfS0VZ"),
        (HeaderKey("X-API-Key", KEY), "X-API-Key", "rnd_SECRET_KEY"),
        (Bearer(KEY, "Token"), "Authorization", "Token rnd_SECRET_KEY"),
        (CookieKey("session", KEY), "Cookie", "session=rnd_SECRET_KEY"),
    ],
)
def test_a_credential_in_a_header(auth: Auth, name: str, value: str) -> None:
    """It goes with every request, is a secret until it is sent, and names its root to the redactor."""
    request = sent(auth)
    assert request.fields[name] == value
    assert "SECRET" not in repr((auth, request))
    roots = [root.reveal() for secret in request.secrets for root in secret.roots]
    assert roots == ["rnd_SECRET_KEY", *([value.removeprefix("Basic ")] if value.startswith("Basic ") else [])]


EXAMPLE, OF_S3 = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.mark.parametrize(
    ("signer", "request_", "time", "signature"),
    [
        (
            AwsSignature("service", "us-east-1", "AKIDEXAMPLE", Secret(EXAMPLE)),
            Request("GET", "https://example.amazonaws.com/"),
            (2015, 8, 30, 12, 36),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            AwsSignature("service", "us-east-1", "AKIDEXAMPLE", Secret(EXAMPLE)),
            Request("GET", "https://example.amazonaws.com/", (("Param2", "value2"), ("Param1", "value1"))),
            (2015, 8, 30, 12, 36),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            AwsSignature("service", "us-east-1", "AKIDEXAMPLE", Secret(EXAMPLE)),
            Request("POST", "https://example.amazonaws.com/", form=(("Param1", "value1"),)),
            (2015, 8, 30, 12, 36),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (
            AwsSignature("s3", "us-east-1", "AKIAIOSFODNN7EXAMPLE", Secret(OF_S3)),
            Request("GET", "https://examplebucket.s3.amazonaws.com/test.txt", headers={"Range": "bytes=0-9"}),
            (2013, 5, 24),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
    ],
)
def test_a_signature_of_aws(
    monkeypatch: pytest.MonkeyPatch, signer: AwsSignature, request_: Request, time: tuple[int, ...], signature: str
) -> None:
    """It is that of AWS's published examples: of a bare request, a query, a form, and of S3."""
    botocore = pytest.importorskip("botocore.auth", reason="needs botocore")
    if not hasattr(botocore, "get_current_datetime"):
        pytest.skip("the time of this version of botocore cannot be set")
    monkeypatch.setattr(botocore, "get_current_datetime", lambda: datetime(*time))  # type: ignore[arg-type]
    signed = signer.sign(request_)
    assert signed.fields["Authorization"].endswith(f"Signature={signature}")
    assert signer.sign(signed).fields == signed.fields  # a request can be signed again
    assert "EXAMPLEKEY" not in repr((signer, signed))


def test_several_credentials_in_one_header() -> None:
    """All of them are masked wherever the header is shown."""
    request = sent(Several([CookieKey("a", OTHER), CookieKey("b", KEY)]))
    assert request.fields["Cookie"] == "a=other_KEY_0123; b=rnd_SECRET_KEY"
    assert {root for secret in request.secrets for root in secret.roots} == {OTHER, KEY}


@pytest.mark.parametrize("auth", [Bearer(KEY), Basic("ann", KEY), HeaderKey("authorization", KEY)])
def test_no_header_of_one_request_replaces_the_credential(auth: Auth) -> None:
    """Whatever the case of its name: nothing is sent."""
    with pytest.raises(BadArguments, match=r"'AUTHORIZATION' cannot be set.*Nothing was sent"):
        sent(auth, headers={"AUTHORIZATION": "other"})


@pytest.mark.parametrize("name", ["x-api-key", "X_API_KEY", "X-Api_Key"])
def test_a_key_in_a_header_has_one_spelling(name: str) -> None:
    """A service may take an underscore for a hyphen, so such a name does not replace the key either."""
    with pytest.raises(BadArguments, match="for the account's credential"):
        sent(HeaderKey("X-API-Key", KEY), headers={name: "other"})
    with pytest.raises(BadArguments, match="for the account's credential"):
        Api(lambda _: Response(200), BASE, headers={"X-API-Key": KEY}).get("/x", headers={name: "other"})


def test_a_credential_replaces_what_the_request_has() -> None:
    """Also where code signs requests itself: one header of a name, and one cookie of a name."""
    request = Request("GET", BASE, headers={"authorization": "other", "Cookie": "a=1; session=mine"})
    assert Bearer(KEY).sign(request).fields == {
        "Cookie": "a=1; session=mine",
        "Authorization": "Bearer rnd_SECRET_KEY",
    }
    assert CookieKey("session", KEY).sign(request).fields["Cookie"] == "a=1; session=rnd_SECRET_KEY"


def test_a_request_without_a_credential_can_have_one_of_its_own() -> None:
    """A function that logs in sends what the service demands."""
    assert sent(None, headers={"Authorization": "Basic YTpi"}).fields["Authorization"] == "Basic YTpi"


def test_a_credential_in_the_query() -> None:
    """It stands once, also where an address of the service already has one."""
    assert sent(QueryKey("key", KEY)).target == "/v1/x?key=rnd_SECRET_KEY&a=1"
    assert QueryKey("a", KEY).sign(Request("GET", BASE, (("a", "1"), ("b", "2")))).query == (("a", KEY), ("b", "2"))


def test_no_spelling_of_a_key_in_the_query_stands_beside_it() -> None:
    """A service that reads a list, or a dot as an underscore, would take the other one."""
    for name in ("api_key", "api_key[]", "api_key[0]", "api.key", " api_key"):
        request = QueryKey("api_key", KEY).sign(Request("GET", BASE, ((name, "mine"), ("a", "1"))))
        assert request.query == (("api_key", KEY), ("a", "1"))


def test_a_next_page_is_signed_too() -> None:
    """What the service refers to is fetched with the same credential."""
    requests: list[Request] = []

    def send(request: Request) -> Response:
        requests.append(request)
        return Response(200, {}, b"[]")

    Api(send, BASE, auth=QueryKey("key", KEY)).follow(f"{BASE}/x?key=old&page=2")
    assert requests[0].query == (("key", KEY), ("page", "2"))


@dataclass
class Counting:
    """A credential of its own for each request, as a token that is renewed."""

    count: int = 0

    def sign(self, request: Request) -> Request:
        self.count += 1
        return with_header(request, "X-Token", Secret(f"token-number-{self.count}"))


def test_an_auth_of_ones_own() -> None:
    """Whatever has a ``sign`` is asked anew for every request."""
    requests: list[Request] = []

    def send(request: Request) -> Response:
        requests.append(request)
        return Response(200, {}, b"{}")

    api = Api(send, BASE, auth=Counting())
    api.get("/x")
    api.get("/x")
    assert [request.fields["X-Token"] for request in requests] == ["token-number-1", "token-number-2"]


def test_bearer_and_auth_exclude_each_other() -> None:
    """A request has one credential; two are a slip of the author."""
    with pytest.raises(TypeError, match="exclude each other"):
        sent(Bearer(KEY), bearer=KEY)
