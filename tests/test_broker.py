"""One call, from start to end."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Flag
from typing import Any

import pytest
from support.library import ACCOUNTS, FAILURES, KEY, Account, library, nested, service

from kosmolua import CallError, LimitExceeded, Limits, Runtime
from kosmolua.broker.backends import Canned
from kosmolua.calls.approvals import Approval
from kosmolua.calls.records import CallStarted, Event
from kosmolua.catalog.plugins import Plugins
from kosmolua.errors import PluginFault
from kosmolua.plugin import Api, ApiError, Integration, Request, Response, Send
from kosmolua.testing import Playground, answer

Open = Callable[..., Runtime]


def lend_and_look(api: Api, /, *, book: str) -> Any:
    """Lend a book, then look it up by a name that it does not have."""
    api.post("/books/{book}", book=book)
    return api.get("/books/{book}", book="")


def list_at_once(api: Api, /, *, times: int) -> Any:
    """List books, several times, in threads of the plugin's own."""
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(lambda _: api.get("/books"), range(times)))


@pytest.fixture
def sent() -> list[Request]:
    """What was sent."""
    return []


@pytest.fixture
def open_library(tmp_path: Path, sent: list[Request]) -> Iterator[Open]:
    """Return a function that opens a runtime with only the library, whose calls a function answers."""
    opened: list[Runtime] = []

    def open_library(send: Callable[[Request], Response] = service, **options: Any) -> Runtime:
        def keep(request: Request) -> Response:
            sent.append(request)
            return send(request)

        options.setdefault("accounts", ACCOUNTS)
        plugin = library()
        plugin.writes(lend_and_look)
        plugin.reads(list_at_once)
        plugins = Plugins([plugin], places=(), entry_points=dict)
        backend, journal = Canned(lambda account: keep), tmp_path / "journal"
        opened.append(Runtime(plugins=plugins, backend=backend, journal=journal, environ={}, **options))
        return opened[-1]

    yield open_library
    for runtime in opened:
        runtime.close()


@pytest.fixture
def journal(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that reads the journal."""
    return lambda: [json.loads(line) for line in (tmp_path / "journal").read_text().splitlines()]


Journal = Callable[[], "list[dict[str, Any]]"]


def refusal_of(runtime: Runtime, path: str, arguments: dict[str, Any] | None = None) -> CallError:
    with pytest.raises(CallError) as refused:
        runtime.call(path, arguments)
    return refused.value


# A call that works


def test_a_call_reaches_the_service_with_the_key(open_library: Open, sent: list[Request]) -> None:
    """The function's own request, with the account's credential, which only the transport would reveal."""
    assert open_library().call("library.list_books", {"limit": 3}) == {"ok": True}
    (request,) = sent
    assert request.line == "GET https://library.example/v1/books"
    assert request.query == (("limit", "3"),)
    assert request.headers["Authorization"].reveal() == f"Bearer {KEY}"
    assert KEY not in repr(request)


def test_a_call_is_noted(open_library: Open, journal: Journal) -> None:
    """The journal says who did what with which arguments, and the service's own name for it."""
    open_library().call("library.work.lib_lend", {"book": "b-1", "note": f"for {KEY}"})
    (line,) = journal()
    assert line["path"] == "library.lend"
    assert line["account"] == "work"
    assert line["effect"] == "write"
    assert line["status"] == "ok"
    assert line["error"] is None
    assert line["attempts"] == [200]
    assert line["request_id"] == "req-7"
    assert line["arguments"] == {"book": "b-1", "note": "for ***"}


def test_whoever_watches_is_told_twice(open_library: Open) -> None:
    """Once when the call starts, and once when it has ended; a refused call only ends."""
    seen: list[tuple[str, str]] = []

    def watch(event: Event) -> None:
        is_start = isinstance(event, CallStarted)
        seen.append((event.path, "started") if is_start else (event.record.path, event.record.status))

    runtime = open_library()
    runtime.call_watched("library.list_books", [], watch)
    with pytest.raises(CallError):
        runtime.call_watched("library.list_books", [{"limit": 0}], watch)
    assert seen == [
        ("library.list_books", "started"),
        ("library.list_books", "ok"),
        ("library.list_books", "refused"),
    ]


# The order: budget, policy, arguments, ask, call


def test_policy_is_asked_before_arguments_are_looked_at(open_library: Open, sent: list[Request]) -> None:
    """An account that may not read learns nothing about the function's parameters, and nobody is asked in vain."""
    asked: list[Approval] = []
    runtime = open_library(approve=asked.append)
    assert refusal_of(runtime, "library.locked.list_books", {"nonsense": 1}).code == "denied"
    assert refusal_of(runtime, "library.home.lend", {"nonsense": 1}).code == "bad_arguments"
    assert asked == []
    assert sent == []


def test_a_person_is_asked_about_bound_arguments(open_library: Open, sent: list[Request]) -> None:
    """What is asked is what would be called, secrets redacted; no means that nothing was sent."""
    asked: list[Approval] = []
    accounts = {"library": {"home": {"api_key": KEY}}}
    runtime = open_library(accounts=accounts, approve=lambda approval: asked.append(approval) or approval.path == "")
    runtime.call("library.list_books")
    refused = refusal_of(runtime, "library.lend", {"book": "b-1", "note": KEY})
    assert refused.code == "denied"
    assert len(sent) == 1
    assert asked == [
        Approval("library.lend", "home", "write", {"book": "b-1", "note": "***"}, "Lend a book.", number=1)
    ]


def test_the_key_is_fetched_last(open_library: Open) -> None:
    """A call that is refused opens no account: a secret is fetched only for a call that will be made."""
    runtime = open_library()
    assert refusal_of(runtime, "library.home.list_books", {"limit": 0}).code == "bad_arguments"
    assert refusal_of(runtime, "library.home.list_books").code == "not_configured"


def test_the_budget_comes_first(open_library: Open, journal: Journal, sent: list[Request]) -> None:
    """When the calls are spent no call is even resolved; refused calls count, so that no storm of them is free."""
    runtime = open_library(limits=Limits(max_calls=3))
    script = """
        for number = 1, 10 do
          pcall(app.integrations.library.list_books, { limit = number - 1 })
          print(number)
        end"""
    outcome = runtime.run(script)
    assert isinstance(outcome.error, LimitExceeded)
    assert outcome.error.limit == "calls"
    assert outcome.error.value == 3
    assert outcome.output == "1\n2\n3\n"
    assert [line["error"] for line in journal()] == ["bad_arguments", None, None, "limit_exceeded"]
    assert len(sent) == 2


def test_arguments_that_lua_could_not_send(open_library: Open, journal: Journal) -> None:
    """A function, a cycle or a NaN is refused by the same sentence as any wrong argument, and noted."""
    outcome = open_library().run("app.integrations.library.lend({ book = 'b', note = print })")
    assert isinstance(outcome.error, CallError)
    assert outcome.error.code == "bad_arguments"
    assert outcome.error.param == "note"
    assert outcome.error.message.startswith("library.lend: note ")
    assert outcome.error.message.endswith(". Nothing was sent.")
    assert [(line["status"], line["error"]) for line in journal()] == [("refused", "bad_arguments")]


# Every refusal has a line


@pytest.mark.parametrize(
    ("path", "arguments", "code"),
    [
        ("library.lent", {}, "unknown_path"),
        ("nothing.lend", {}, "unknown_path"),
        ("library.nobody.lend", {}, "unknown_path"),
        ("library.lend", {}, "bad_arguments"),
        ("library.locked.lend", {"book": "b-1"}, "denied"),
        ("library.home.lend", {"book": "b-1"}, "denied"),
        ("library.home.list_books", {}, "not_configured"),
        ("library.lend", {"book": "../owners/.."}, None),
        ("library.lend", {"book": ".."}, "bad_arguments"),
        ("library.lend", {"book": "b-404"}, "api_error"),
    ],
)
def test_every_call_has_a_line(
    open_library: Open, journal: Journal, path: str, arguments: dict[str, Any], code: str | None
) -> None:
    """Also one that was refused, with its code and whether anything was sent."""
    runtime = open_library()
    error = refusal_of(runtime, path, arguments) if code else runtime.call(path, arguments)
    (line,) = journal()
    assert line["error"] == code
    assert line["status"] == {None: "ok", "api_error": "failed"}.get(code, "refused")
    assert line["path"] == path.replace(".locked", "").replace(".home", "") or code == "unknown_path"
    if isinstance(error, CallError) and line["status"] == "refused" and code != "unknown_path":
        assert error.message.endswith("Nothing was sent.")


def test_an_error_says_where_it_came_from(open_library: Open) -> None:
    """A script that goes on after an error can tell which call and which account it was."""
    fields = refusal_of(open_library(), "library.lend", {"book": "b-404"}).fields()
    assert {name: fields[name] for name in ("code", "path", "account", "status", "request_id")} == {
        "code": "api_error",
        "path": "library.lend",
        "account": "work",
        "status": 404,
        "request_id": "req-7",
    }
    assert fields["message"] == "POST /v1/books/b-404 was answered 404: not found [request req-7]"


# What a plugin may do wrong


@pytest.mark.parametrize("how", [how for how in FAILURES if how != "own"])
def test_an_exception_of_the_plugin_is_an_error_of_the_call(open_library: Open, journal: Journal, how: str) -> None:
    """Whatever a plugin raises is one sentence for the script; the exception itself stays for who embeds."""
    error = refusal_of(open_library(), "library.fails", {"how": how})
    assert isinstance(error, PluginFault)
    assert error.message.startswith(f"library.fails failed inside its integration: {type(FAILURES[how]()).__name__}")
    assert KEY not in error.message
    assert error.__cause__ is None or type(error.__cause__) is type(FAILURES[how]())
    assert journal()[0]["error"] == "plugin_error"


@pytest.mark.parametrize("how", [how for how in FAILURES if how != "own"])
def test_a_script_learns_nothing_of_the_host(open_library: Open, how: str) -> None:
    """What an exception says is one short line, for the script without paths, reprs and addresses."""
    error = refusal_of(open_library(), "library.fails", {"how": how})
    for text in (error.message, str(error.report()["detail"])):
        assert "\n" not in text
        assert len(text) < 500
    assert not any(sign in error.message for sign in ("/", "<", "0x"))
    assert f"{Path(__file__).parent / 'support' / 'library.py'}:" in str(error)
    assert "detail" not in error.fields()
    assert KEY not in str(error)


def test_what_was_sent_is_not_denied(open_library: Open, sent: list[Request]) -> None:
    """A refusal after something was sent does not say that nothing was."""
    error = refusal_of(open_library(), "library.lend_and_look", {"book": "b-1"})
    assert error.code == "bad_arguments"
    assert "Nothing was sent" not in str(error)
    assert error.message.endswith("(the request may have succeeded: check before you retry)")
    assert [request.method for request in sent] == ["POST"]


def test_a_result_that_is_too_large_of_a_write_that_was_done(open_library: Open, sent: list[Request]) -> None:
    """Whatever becomes of the answer, the error says that the write may have been done, after what else to do."""
    runtime = open_library(lambda request: Response(201, {}, b'"%s"' % (b"x" * 2000)), limits=Limits(max_result=1000))
    with pytest.raises(LimitExceeded, match=r"\(ask for less, .*; the request may have succeeded: .*\)$"):
        runtime.call("library.lend", {"book": "b-1"})
    with pytest.raises(LimitExceeded) as of_a_read:
        runtime.call("library.list_books")
    assert "may have been done" not in str(of_a_read.value)
    assert [request.method for request in sent] == ["POST", "GET"]


@dataclass(frozen=True)
class Door:
    """Logs in before each call."""

    def open(self, send: Send) -> Api:
        return Api(send, "https://door.example")


def test_a_read_that_logs_in_is_a_read_all_the_same() -> None:
    """What it sent before is no write of its own, so its error says nothing of one."""
    door = Integration("door", Door, about="Opens.")

    @door.reads
    def look(api: Api, /) -> str:
        """Look."""
        api.post("/token")
        return str(api.get("/inside"))

    play = Playground(door, {("POST", "/token"): {}, ("GET", "/inside"): answer(404, {"message": "nobody is here"})})
    with pytest.raises(ApiError, match="nobody is here") as refused:
        play.call("door.look")
    assert "may have been done" not in str(refused.value)


def test_an_integration_may_have_threads_of_its_own(open_library: Open, sent: list[Request]) -> None:
    """Requests that a plugin makes there are made like any other."""
    assert open_library().call("library.list_at_once", {"times": 4}) == [{"ok": True}] * 4
    assert len(sent) == 4


def test_a_plugin_may_have_codes_of_its_own(open_library: Open) -> None:
    """A CallError that a plugin raises reaches the script as it is, but for secrets."""
    error = refusal_of(open_library(), "library.fails", {"how": "own"})
    assert error.code == "no_such_book"
    assert error.param == "book"
    assert error.hint == "look again"
    assert error.message == "There is no such book for *** (look again)"


def test_an_account_that_cannot_be_opened(open_library: Open) -> None:
    """An exception while the account is opened ends the call, not the host, and does not give the key away."""
    runtime = open_library()
    error = refusal_of(runtime, "library.broken.list_books")
    assert error.code == "plugin_error"
    assert error.message.endswith("failed inside its integration: RuntimeError")
    assert str(error.detail).endswith(": cannot open nonsense with ***")
    outcome = runtime.run("return pcall(app.integrations.library.broken.list_books)")
    assert outcome.result[0] is False
    script = "parallel.all({ function() return app.integrations.library.broken.list_books() end })"
    assert runtime.run(script, timeout=20).error.code == "plugin_error"


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ("date", "it contains a Python date"),
        ("cycle", "it contains itself"),
        ("nan", "it contains NaN or infinity"),
        ("bytes", "it contains bytes, which must be passed as base64 text"),
        ("set", "it contains a Python set"),
        ("key", "it contains a key that is not a string"),
        ("secret", "it contains a Python Secret"),
    ],
)
def test_a_result_that_lua_cannot_carry(open_library: Open, what: str, problem: str) -> None:
    """The plugin is at fault, and the sentence says what it returned."""
    error = refusal_of(open_library(), "library.returns", {"what": what})
    assert error.code == "plugin_error"
    assert error.message == f"library.returns returned something that cannot be passed to Lua: {problem}"


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("wide", "1180591620717411303424"),
        ("tuple", [1, 2]),
        ("nothing", None),
        ("echo", {"you sent": ["Bearer ***"], "***": 1}),
    ],
)
def test_a_result_is_made_fit_for_lua(open_library: Open, what: str, value: object) -> None:
    """Wide integers become strings, and a service or a plugin that echoes the key does not give it to the script."""
    assert open_library().call("library.returns", {"what": what}) == value


def test_a_result_that_is_too_large(open_library: Open, journal: Journal) -> None:
    """One result has a size; what is larger ends the run, and the call is in the journal."""
    runtime = open_library(limits=Limits(max_result=1000))
    outcome = runtime.run("return #app.integrations.library.returns({ what = 'big' })")
    assert isinstance(outcome.error, LimitExceeded)
    assert outcome.error.limit == "result"
    assert outcome.error.value == 1000
    assert [line["error"] for line in journal()] == ["limit_exceeded"]


def test_a_result_that_is_too_deep(open_library: Open) -> None:
    """A result nested deeper than the limit is a limit too, not a crash of the sandbox."""
    deep = json.dumps(nested(500)).encode()
    runtime = open_library(lambda _: Response(200, {}, deep))
    outcome = runtime.run("return app.integrations.library.list_books()")
    assert isinstance(outcome.error, LimitExceeded)
    assert outcome.error.limit == "depth"


# Accounts and threads


def test_an_account_is_opened_once_a_run() -> None:
    """What a plugin remembers of an account lives as long as the run, and calls at once share it."""
    opened: list[Any] = []
    plugin = library()
    plugin.account = lambda **settings: opened.append(settings) or Account(**settings)  # type: ignore[assignment]
    plugins = Plugins([plugin], places=(), entry_points=dict)
    branches = "parallel.map({ 1, 2, 3, 4 }, function() return app.integrations.library.list_books() end)"
    with Runtime(ACCOUNTS, plugins=plugins, backend=Canned(lambda _: service), environ={}) as runtime:
        for _ in range(2):
            assert runtime.run(f"{branches} {branches} app.integrations.library.default.list_books()").ok
    assert len(opened) == 2


def test_an_account_that_is_slow_to_open_holds_up_no_other() -> None:
    """Calls with other accounts go on meanwhile."""
    is_opened, plugin = Flag(), library()

    def open_slowly(**settings: Any) -> Account:
        if settings.get("base_url") == "https://slow.example":
            assert is_opened.wait(60)
        return Account(**settings)

    plugin.account = open_slowly  # type: ignore[assignment]
    accounts = {"library": {"slow": {"api_key": KEY, "base_url": "https://slow.example"}, "quick": {"api_key": KEY}}}

    def answer(request: Request) -> Response:
        is_opened.set()
        return service(request)

    script = """
    local library = app.integrations.library
    parallel.all({ library.slow.list_books, library.quick.list_books })
    """
    plugins = Plugins([plugin], places=(), entry_points=dict)
    with Runtime(accounts, plugins=plugins, backend=Canned(lambda _: answer), environ={}) as runtime:
        assert runtime.run(script).ok


@pytest.mark.slow
def test_arguments_are_not_kept(open_library: Open) -> None:
    """What a call was made with is kept no longer than until its record is written, also that of a refused call."""
    runtime = open_library(limits=Limits(max_calls=200))
    small = runtime.run("for _ = 1, 100 do pcall(app.integrations.library.lend, { note = 'x' }) end")
    tracemalloc.start()
    big = runtime.run(
        "local note = ('x'):rep(500000) for _ = 1, 100 do pcall(app.integrations.library.lend, { note = note }) end"
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(small.calls) == len(big.calls) == 100
    assert peak < 20_000_000


@pytest.mark.parametrize("name", [KEY, "Ann"])
def test_identify_tells_no_secret(open_library: Open, name: str) -> None:
    """A service that answers with the key does not show it to the user, neither in a name nor in an error."""
    body = json.dumps({"name": name}).encode()
    assert KEY not in open_library(lambda _: Response(200, {}, body)).identify("library", "work")
    with pytest.raises(CallError) as refused:
        open_library(lambda _: Response(401, {}, body)).identify("library", "work")
    assert KEY not in str(refused.value.report())


def test_identify(open_library: Open, sent: list[Request]) -> None:
    """``accounts check`` makes the one call that the integration registered for it."""
    assert open_library().identify("library", "work") == "{'ok': True}"
    assert sent[0].line == "GET https://library.example/v1/me"
