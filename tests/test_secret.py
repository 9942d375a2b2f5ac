"""Credentials show themselves to nobody: the value, the redactor, and every text that a run leaves behind."""

from __future__ import annotations

import copy
import html
import json
import logging
import pickle
import shlex
import time
import traceback
from base64 import b32encode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from support.loopback import Loopback

from kosmolua import CallError, Runtime
from kosmolua.authoring.stubs import write_stubs
from kosmolua.broker.backends import Canned
from kosmolua.calls.approvals import Approval
from kosmolua.calls.records import Event
from kosmolua.plugin import Api, Integration, Request, Response, Secret, Send
from kosmolua.processes.child import ColdChild
from kosmolua.secret import Redactor

KEY = "rnd_SECRET/of+the=leak test"
URLLIB3 = "urllib3.connectionpool"
SPELLINGS = [
    KEY,
    quote(KEY),
    quote(KEY, safe=""),
    quote_plus(KEY),
    quote_plus(KEY).replace("%2F", "%2f").replace("%3D", "%3d").replace("%2B", "%2b"),
    json.dumps(KEY)[1:-1],
    json.dumps(KEY)[1:-1].replace("/", "\\/"),
    b64encode(KEY.encode()).decode(),
    urlsafe_b64encode(KEY.encode()).decode(),
    KEY.encode().hex(),
    KEY.encode().hex().upper(),
    KEY.upper(),
    KEY.lower(),
    b32encode(KEY.encode()).decode(),
    b32encode(KEY.encode()).decode().lower(),
    b64encode(b64encode(KEY.encode())).decode(),
    urlsafe_b64encode(b64encode(KEY.encode())).decode(),
    quote(quote(KEY)),
    quote(quote(KEY, safe=""), safe=""),
    quote_plus(quote_plus(KEY)),
    "".join(f"%{ord(each):02X}" for each in KEY),
    "".join(f"&#{ord(each)};" for each in KEY),
    "".join(f"&#x{ord(each):X};" for each in KEY),
    "".join(f"\\x{ord(each):02x}" for each in KEY),
    "".join(f"\\u{ord(each):04x}" for each in KEY),
    "".join(f"\\\\u{ord(each):04X}" for each in KEY),
]


@pytest.mark.parametrize("show", [str, repr, "{}".format, "{!r}".format, "{:>9}".format, lambda secret: f"{[secret]}"])
def test_a_secret_shows_itself_to_nobody(show: Callable[[Secret], str]) -> None:
    """Printing, formatting or listing a credential gives a mask."""
    assert "SECRET" not in show(Secret(KEY))
    assert "***" in show(Secret(KEY))


def test_a_secret_cannot_be_packed() -> None:
    """A credential cannot be pickled or copied into something that shows it."""
    for pack in (pickle.dumps, copy.deepcopy, copy.copy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pack(Secret(KEY))
    assert not hasattr(Secret(KEY), "__dict__")


def test_a_secret_is_empty_or_not() -> None:
    """Whether there is a credential at all may be known."""
    assert Secret(KEY)
    assert not Secret("")


def test_a_secret_makes_headers() -> None:
    """The two spellings that HTTP headers want are secrets again."""
    assert Secret(KEY).prefixed("Bearer").reveal() == f"Bearer {KEY}"
    assert Secret("b").as_password_of("a").reveal() == "Basic YTpi"


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor()
    redactor.learn(Secret(KEY))
    return redactor


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_each_spelling_is_redacted(redactor: Redactor, spelling: str) -> None:
    """A credential is found as it is, in a URL, in JSON, in base64 and in hex."""
    assert redactor.text(f"<{spelling}>").startswith("<***")
    assert redactor.knows(f'["{spelling}"]')


@pytest.mark.parametrize("user", ["", "u", "us", "use", "user"])
def test_basic_authentication_is_redacted(redactor: Redactor, user: str) -> None:
    """A service that echoes a Basic header does not give the password away, wherever in the base64 it begins."""
    header = Secret(KEY).as_password_of(user)
    assert b64encode(KEY.encode()).decode()[4:12] not in redactor.text(header.reveal())
    redactor.learn(header)
    assert redactor.text(f"echo: {header.reveal()}") == "echo: Basic ***"


@pytest.mark.parametrize("value", ["pass<word>&'more'", 'p&ss"word'])
@pytest.mark.parametrize("quotes", [True, False])
def test_a_secret_in_html_is_redacted(value: str, quotes: bool) -> None:
    """A page that shows a password, also inside JSON, gives none of it away."""
    redactor = Redactor()
    redactor.learn(Secret(value))
    for escaped in (html.escape(value, quotes), html.escape(value, quotes).replace("&#x27;", "&#39;")):
        assert redactor.text(f"<p>{escaped}</p>") == "<p>***</p>"
        assert redactor.text(json.dumps(f"<p>{escaped}</p>")) == '"<p>***</p>"'


@pytest.mark.parametrize(
    "spell",
    [
        lambda text: text.encode().hex(":"),
        lambda text: text.encode().hex(" ").upper(),
        lambda text: "".join(f"\\{ord(each):03o}" for each in text),
        lambda text: text[::-1],
        shlex.quote,
        lambda text: text.replace("'", "''"),
        lambda text: text.replace('"', '""'),
        lambda text: html.escape(json.dumps(text)[1:-1]),
        lambda text: quote(json.dumps(text)[1:-1], safe=""),
    ],
    ids=[
        "hex with colons",
        "hex with blanks",
        "octal",
        "reversed",
        "shell",
        "SQL",
        "CSV",
        "JSON in HTML",
        "JSON in a URL",
    ],
)
def test_a_secret_with_quotes_in_other_notations(spell: Callable[[str], str]) -> None:
    """As the tools of a service show it in a log or in an error."""
    redactor, secret = Redactor(), "p@ss'w\"ord/+&=$ x\\9"
    redactor.learn(Secret(secret))
    assert redactor.text(f"<{spell(secret)}>") in ("<***>", "<'***'>")


@pytest.mark.parametrize("join", ["\r\n", " ", "\n    ", "', '", ""], ids=repr)
def test_a_secret_of_several_lines_is_masked_line_by_line(join: str) -> None:
    """A private key whose lines another program has joined or indented, or of which it shows one."""
    lines = [b64encode(bytes(each * at % 256 for each in range(48))).decode() for at in (3, 5, 7)]
    redactor, key = Redactor(), ["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"]
    redactor.learn(Secret("\n".join([*key, ""])))
    assert redactor.text(join.join(key)) == join.join([key[0], *["***"] * 3, key[-1]])
    assert redactor.text(f"not a key: {lines[1]}") == "not a key: ***"


@pytest.mark.parametrize("encode", [b64encode, b32encode, urlsafe_b64encode], ids=["base64", "base32", "url-safe"])
@pytest.mark.parametrize("before", range(9))
def test_a_secret_inside_something_encoded(redactor: Redactor, encode: Callable[[bytes], bytes], before: int) -> None:
    """Wherever in a longer text it stands before the text is encoded, and before base64 is encoded again."""
    within = encode(b"x" * before + KEY.encode() + b" and more").decode()
    assert "***" in redactor.text(within)
    assert len(redactor.text(within)) < len(within) - len(KEY)
    if encode is b64encode:
        assert "***" in redactor.text(b64encode(b"y" * (before // 3) + within.encode()).decode())


def test_letters_of_any_case_and_script() -> None:
    """A password is found in capitals and in small letters, also beyond ASCII."""
    redactor = Redactor()
    redactor.learn(Secret("Pässwörd-Straße"))
    assert redactor.text("PÄSSWÖRD-STRASSE pässwörd-straße Pässwörd-Straße") == "*** *** ***"


def test_secrets_that_overlap_leave_no_rest() -> None:
    """Where the end of one is the beginning of another the whole is one mask."""
    redactor = Redactor()
    for value in ("abcdefgh", "efghijkl", "nananana"):
        redactor.learn(Secret(value))
    assert redactor.text("<abcdefghijkl>") == "<***>"
    assert redactor.text("<nanananana>") == "<***>"


def test_a_secret_that_is_no_text() -> None:
    """A variable of the environment may hold bytes that are no UTF-8; they are masked like others."""
    redactor = Redactor()
    redactor.learn(Secret("key-\udcff-secret"))
    assert redactor.text("<key-\udcff-secret> \ud800") == "<***> \ud800"


@pytest.mark.slow
def test_many_secrets_cost_no_more_than_few() -> None:
    """With 5,000 keys, as of a fleet, a long text is looked through once, and every key in it is found."""
    redactor = Redactor()
    keys = [f"rnd_{number:05}_SECRET_{number * 7919:09}" for number in range(5000)]
    for number, key in enumerate(keys):
        redactor.learn(Secret(key), owner=number)
    text = "nothing of interest, " * 50_000
    started = time.thread_time()
    assert redactor.text(text) == text
    assert not redactor.knows(text)
    seconds = time.thread_time() - started
    assert seconds < 5, "one search for each of 100,000 spellings takes a minute"
    for before in range(4):
        told = f"{text}{'.' * before} {keys[7]} {keys[-1].upper()} {keys[9].encode().hex()}"
        assert redactor.text(told).endswith(" *** *** ***")


def test_forgotten_secrets_are_masked_no_more() -> None:
    """Also where there are so many secrets that they are found by how they begin."""
    redactor = Redactor()
    for number in range(100):
        redactor.learn(Secret(f"key-of-account-{number:03}"), owner=number)
        redactor.learn(Secret(f"token-{number:04}"), owner="one")
    assert redactor.text("token-0099 token-0001 key-of-account-007") == "*** token-0001 ***"


def test_values_are_redacted_to_the_last_key(redactor: Redactor) -> None:
    """Strings and keys of JSON are looked through, everything else stays as it is."""
    value = {"a": [1, None, 2.5, True, f"x {KEY} y"], KEY: {"b": (KEY,)}, "c": Secret("other")}
    redacted = {"a": [1, None, 2.5, True, "x *** y"], "***": {"b": ["***"]}, "c": "***"}
    assert redactor.value(value) == redacted


def test_a_secret_that_is_no_ascii_is_known_in_json() -> None:
    """JSON may escape quotes and leave umlauts; both at once are still the same secret."""
    redactor = Redactor()
    redactor.learn(Secret('pässwörd"1'))
    for ascii_only in (True, False):
        assert redactor.knows(json.dumps({"echo": 'pässwörd"1'}, ensure_ascii=ascii_only))


@pytest.mark.parametrize("value", ['it\'s "so"', "back\\slash", "tab\tulator", "pässwörd/1"])
def test_a_secret_in_pythons_spelling_or_in_json_within_json(value: str) -> None:
    """What ``{key!r}`` makes of it in a message, or JSON in a text, is redacted, and known where Lua gets it."""
    redactor = Redactor()
    redactor.learn(Secret(value))
    for told in (f"bad key {value!r}", json.dumps({"echo": value}), json.dumps({"echo": value}).replace("/", "\\/")):
        text = redactor.text(told)
        assert "***" in text
        assert value[:4] not in text
        assert redactor.knows(json.dumps({"message": told}, ensure_ascii=False))


@pytest.mark.slow
@pytest.mark.parametrize("wrap", [lambda part: [part], lambda part: {"in": part}, lambda part: (part, KEY)])
def test_a_value_as_deep_as_any(redactor: Redactor, wrap: Callable[[object], object]) -> None:
    """Ten thousand levels do not overflow the stack, and the key is gone from the last."""
    value: object = {"key": KEY}
    for _ in range(10_000):
        value = wrap(value)
    part = redactor.value(value)
    while part != {"key": "***"}:
        assert isinstance(part, (list, dict))
        part = part[0] if isinstance(part, list) else part["in"]


def test_a_secret_that_was_made_of_another(redactor: Redactor) -> None:
    """A token is redacted without the scheme that it is sent with, and a password without the user's name."""
    for made in (Secret("tok_ABCDEF").prefixed("Bearer"), Secret("hunter22").as_password_of("ann").prefixed("X")):
        redactor.learn(made)
    assert redactor.text("token tok_ABCDEF has expired, hunter22 too") == "token *** has expired, *** too"


def test_a_number_that_is_a_secret() -> None:
    """A PIN of eight digits is masked as a number too; other numbers stay."""
    redactor = Redactor()
    redactor.learn(Secret("20461234"))
    assert redactor.value([20461234, 2046, "pin 20461234", 1.5]) == ["***", 2046, "pin ***", 1.5]


def test_a_placeholder_is_no_secret(redactor: Redactor) -> None:
    """What stands for a credential where there is none blots out no ordinary word."""
    redactor.learn(Secret("simulated", holding=()).prefixed("Bearer"))
    assert redactor.text("a simulated service") == "a simulated service"


@pytest.mark.slow
def test_only_the_newest_of_an_owner_are_kept_in_mind() -> None:
    """Tokens that are renewed every hour do not pile up; one that is still in use stays, and so does every key."""
    redactor = Redactor()
    redactor.learn(Secret("the-key-of-the-account"))
    for number in range(1000):
        redactor.learn(Secret("in-use-all-the-time"), owner="a")
        redactor.learn(Secret(f"token-{number:04}"), owner="a")
        redactor.learn(Secret("another-account's"), owner="b")
    told = "the-key-of-the-account in-use-all-the-time another-account's token-0999 token-0990 token-0001"
    assert redactor.text(told) == "*** *** *** *** *** token-0001"


def test_many_threads_teach_a_redactor() -> None:
    """No secret is lost because another one was learned at the same time."""
    redactor = Redactor()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: redactor.learn(Secret(f"secret-{number:03}")), range(200)))
    assert {redactor.text(f"secret-{number:03}") for number in range(200)} == {"***"}


def test_the_longest_secret_wins() -> None:
    """A secret that contains another one leaves no rest of itself."""
    redactor = Redactor()
    for value in ("secret", "secret-and-more"):
        redactor.learn(Secret(value))
    assert redactor.text("secret-and-more, secret") == "***, ***"


def test_tiny_secrets_are_left_alone() -> None:
    """Redacting '1234' would blot out half of every reply."""
    redactor = Redactor()
    redactor.learn(Secret("1234"))
    assert redactor.text("12345") == "12345"


# The leak test


@dataclass(frozen=True)
class Account:
    """A key, in a header, as a password and in the query."""

    api_key: Secret
    base_url: str

    def open(self, send: Send) -> Api:
        password = self.api_key.as_password_of("user")
        headers = {"X-Password": password, "X-Key": self.api_key}
        return Api(send, self.base_url, bearer=self.api_key, headers=headers, query={"key": self.api_key})


integration = Integration("echo", Account, about="A service that tells what it was told.")


@integration.reads
def echo(api: Api, /, *, status: int = 200) -> object:
    """Answer with everything that was sent."""
    return api.get("/echo/{status}", status=status)


@integration.reads
def explode(api: Api, /) -> object:
    """Fail with everything that was sent in the exception."""
    raise ValueError(f"the plugin got {api.get('/echo/200')}")


@integration.writes
def keep(api: Api, /, *, note: str) -> object:
    """Send a note."""
    return {"kept": note}


SCRIPT = """
local kinds = {}
for _, status in ipairs({ 200, 400, 401, 404, 500 }) do
  local ok, value = pcall(app.integrations.echo.echo, { status = status })
  print(ok, value)
  if not ok then
    for name, field in pairs(value) do print(name, field) end
  end
  kinds[#kinds + 1] = ok
end
print(pcall(app.integrations.echo.explode))
print(pcall(app.integrations.echo.keep, { note = arg[1] }))
print(pcall(app.integrations.echo.keep, { [arg[1]] = arg[1] }))
print(pcall(app.integrations.echo.keep, { note = { arg[1] } }))
print(lua_read_doc("integrations.echo"), lua_search_docs("echo"))
return kinds, app.integrations.echo.echo({ status = 200 })
"""


def tell(request: Request) -> Response:
    """Answer with all that was sent, in the body, in the reason and in headers."""
    status = int(request.url.rpartition("/")[2])
    headers = {"X-Request-Id": str(dict(request.query)["key"]), "Content-Type": "application/json"}
    told = {"message": f"{dict(request.headers)} {request.query}", "headers": dict(request.headers)}
    return Response(status, headers, json.dumps(told).encode())


class Recorder:
    """A worker whose frames are recorded."""

    def __init__(self) -> None:
        self._child = ColdChild()
        self.frames: list[bytes] = []

    def send(self, line: bytes) -> None:
        self.frames.append(line)
        self._child.send(line)

    def read(self, limit: int) -> bytes | None:
        line = self._child.read(limit)
        self.frames.append(line or b"")
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._child, name)


def leave_traces(runtime: Runtime, folder: Path, recorder: Recorder) -> dict[str, str]:
    """Do everything that could leave the key somewhere, and return the texts that were left, by place."""
    events: list[Event] = []
    # The script is given the key, so that it can try; its own output and its job are the only texts that may have it.
    outcome = runtime.run(SCRIPT, args=[KEY], child=recorder, watch=events.append)
    assert outcome.error is None
    assert outcome.result[0] == [True, False, False, False, False]
    texts = {"replies": b"".join(frame for frame in recorder.frames if b'"kind":"reply"' in frame).decode()}
    for path, arguments in (("echo.echo", {"status": 401}), ("echo.explode", {}), ("echo.nothing", {})):
        with pytest.raises(CallError) as failed:
            runtime.call(path, arguments)
        texts[f"traceback of {path}"] = "".join(traceback.format_exception(failed.value))
        texts[f"fields of {path}"] = f"{failed.value!r} {failed.value.args} {failed.value.report()}"
    texts["result"] = json.dumps(outcome.result)
    texts["calls"] = json.dumps(outcome.calls)
    texts["reprs"] = repr((runtime, runtime.catalog, outcome.calls, outcome.error, events))
    texts["stubs"] = "".join(path.read_text() for path in write_stubs(runtime.catalog, folder / "stubs"))
    texts["docs"] = runtime.docs.read("integrations.echo") + runtime.docs.search("key")
    texts["journal"] = (folder / "journal").read_text()
    return texts


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.close()


@pytest.mark.slow
def test_the_key_appears_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture, recorder: Recorder) -> None:
    """A service that echoes the key in every way, and a plugin that fails with it, give it to no frame, no result, no
    error, traceback, journal, approval, log, stub, page or repr, although it was on the wire in four places."""
    caplog.set_level(logging.DEBUG)
    asked: list[Approval] = []
    with Loopback(tell) as service:
        accounts = {"echo": {"default": {"api_key": {"env": "KEY"}, "base_url": service.url}}}
        options: dict[str, Any] = {"environ": {"KEY": KEY}, "approve": asked.append, "journal": tmp_path / "journal"}
        with Runtime(accounts, plugins=[integration], **options) as runtime:
            texts = leave_traces(runtime, tmp_path, recorder)
    sent = service.requests[0]
    assert sent.headers["Authorization"] == f"Bearer {KEY}"
    assert dict(sent.query)["key"] == KEY
    texts["approvals"] = repr(asked)
    texts["log"] = "".join(caplog.handler.format(each) for each in caplog.records if each.name != URLLIB3) + "."
    for place, text in texts.items():
        assert text, place
        assert [spelling for spelling in SPELLINGS if spelling in text] == [], f"the key is in the {place}"
    assert "Traceback" in texts["log"]
    for place in ("replies", "result", "journal", "log", "fields of echo.explode"):
        assert "***" in texts[place]


TELLS = """
app.integrations.echo.echo()
local key = ...
print("the key is " .. key)
print(select(2, pcall(lua_read_doc, key)))
print(select(2, pcall(function() return app.integrations[key] end)))
error("no " .. key)
"""


def test_a_script_that_has_the_key_shows_it_to_nobody() -> None:
    """What it prints and fails with, and what documentation and catalog answer it, are redacted like results."""
    with Loopback(tell) as service:
        accounts = {"echo": {"default": {"api_key": KEY, "base_url": service.url}}}
        pieces: list[bytes] = []
        with Runtime(accounts, plugins=[integration], environ={}) as runtime:
            outcome = runtime.run(TELLS, args=[KEY], on_output=pieces.append)
    assert outcome.error
    assert outcome.output.startswith("the key is ***\n")
    assert outcome.output == b"".join(pieces).decode()
    shown = outcome.output + json.dumps(outcome.to_json())
    assert [spelling for spelling in SPELLINGS if spelling in shown] == []
    assert "no ***" in outcome.error.message


def test_a_script_without_calls_shows_no_key_either() -> None:
    """Once the runtime knows it, it is masked in all that a script prints, returns or fails with."""
    with Loopback(tell) as service:
        accounts = {"echo": {"default": {"api_key": KEY, "base_url": service.url}}}
        with Runtime(accounts, plugins=[integration], environ={}) as runtime:
            runtime.run(TELLS)
            scripts = ("print(arg[1]) return arg[1]", "error(arg[1])", "return lua_search_docs(arg[1])")
            outcomes = [runtime.run(script, args=[KEY]) for script in scripts]
    assert outcomes[0].output == "***\n"
    assert outcomes[0].result == ["***"]
    assert "***" in str(outcomes[1].error)
    assert KEY not in str([outcome.to_json() for outcome in outcomes])


def test_a_key_in_a_query_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An embedder who logs everything does not log a key that a service wants in the query."""
    caplog.set_level(logging.DEBUG)
    with Loopback(tell) as service:
        accounts = {"echo": {"default": {"api_key": KEY, "base_url": service.url}}}
        with Runtime(accounts, plugins=[integration], environ={}) as runtime:
            runtime.call("echo.echo")
    assert quote(KEY, safe="") not in caplog.text


@dataclass(frozen=True)
class Guest:
    """A user who has to log in."""

    password: Secret

    def open(self, send: Send) -> Api:
        reply = Api(send, "https://guest.example").post("/token", json={"password": self.password})
        token, ticket = Secret(reply["token"]), Secret(reply["ticket"])
        return Api(send, "https://guest.example", bearer=token, query={"ticket": ticket})


def log_in_and_tell(request: Request) -> Response:
    """Give a token and a ticket away, and tell about them ever after."""
    told = {"token": "tok_OBTAINED", "ticket": "tick/OBTAINED"}
    if request.url.endswith("/token"):
        assert json.loads(request.content) == {"password": "hunter2222"}
        return Response(200, {}, json.dumps(told).encode())
    status = 401 if request.url.endswith("/refused") else 200
    return Response(status, {}, json.dumps({"message": f"{told} have expired", "deep": [told]}).encode())


def test_a_token_that_was_obtained_appears_nowhere(tmp_path: Path) -> None:
    """What an integration got by logging in is in no reply, error or journal from the moment that it is sent."""
    guests = Integration("guest", Guest, about="A service with a door.")
    guests.reads(get_page)
    accounts = {"guest": {"default": {"password": "hunter2222"}}}
    backend = Canned(lambda account: log_in_and_tell)
    options: dict[str, Any] = {"backend": backend, "environ": {}, "journal": tmp_path / "journal"}
    with Runtime(accounts, plugins=[guests], **options) as runtime:
        outcome = runtime.run("return app.integrations.guest.get_page('fine')")
        refused = runtime.run("return app.integrations.guest.get_page('refused')")
        raised = runtime.run("return app.integrations.guest.get_page({ page = 'tick/OBTAINED' })")
    left = f"{outcome.result} {refused.error} {refused.calls} {raised.error} {(tmp_path / 'journal').read_text()}"
    assert outcome.ok
    assert "***" in str(outcome.result)
    assert "OBTAINED" not in left


def get_page(api: Api, /, *, page: str) -> object:
    """Get a page."""
    return api.get("/{page}", page=page)


def test_nothing_of_a_simulator_is_redacted() -> None:
    """The word that stands for a credential under --simulate is a word like others."""
    simulated = Integration("guest", Guest, about="A service with a door.")
    simulated.reads(get_page)
    simulated.simulator(
        lambda account: lambda request: Response(200, {}, b'{"token":"t","ticket":"u","a":"simulated"}')
    )
    with Runtime(plugins=[simulated], simulate=True, environ={}) as runtime:
        assert runtime.call("guest.get_page", ["x"])["a"] == "simulated"
