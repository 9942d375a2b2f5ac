"""kosmolua.testing: an integration, canned replies, Lua in, result out."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import pytest
from support.processes import children, eventually, linux_only

from kosmolua import ApiError, BadArguments, CallError, Runtime, ScriptError
from kosmolua.errors import Denied
from kosmolua.plugin import Api, Integration, NetworkError, Request, Response, Secret, Send, between, by_link
from kosmolua.testing import Playground, Routes, SimulatedAccount, SimulatedService, answer, in_turn


@dataclass(frozen=True)
class Account:
    """One notebook."""

    api_key: Annotated[Secret, "From Settings."]
    shelf: str = "main"

    def open(self, send: Send) -> Api:
        return Api(send, f"https://notes.example/v1/{self.shelf}", bearer=self.api_key)


notes = Integration("notes", Account, about="Notes.", prefix="note")


@notes.reads
def get_note(api: Api, /, *, note_id: str) -> dict:
    """Get a note."""
    return api.get("/notes/{note_id}", note_id=note_id)


@notes.reads
def list_notes(api: Api, /, *, limit: Annotated[int, between(1, 100)] = 20) -> list:
    """List notes."""
    return api.get("/notes", query={"limit": limit})


@notes.writes
def add_note(api: Api, /, *, text: str) -> dict:
    """Add a note."""
    return api.post("/notes", json={"text": text})


MILK = {"id": "n-1", "text": "milk"}


def test_a_test_is_five_lines() -> None:
    """A reply, a script, its result, and what was asked."""
    play = Playground(notes, {("GET", "/notes/n-1"): MILK})

    assert play.run("return app.integrations.notes.get_note('n-1').text") == "milk"
    assert play.lines == ["GET /v1/main/notes/n-1"]


def test_results_are_those_of_the_script() -> None:
    """None for none, the value for one, a tuple for several."""
    play = Playground(notes)

    assert play.run("local x = 1") is None
    assert play.run("return { 1, 2 }") == [1, 2]
    assert play.run("return 1, 'two', nil, false") == (1, "two", None, False)


def test_a_call_needs_no_lua() -> None:
    """The same function, called by its path."""
    assert Playground(notes, {("GET", "/notes/n-1"): MILK}).call("notes.get_note", {"note_id": "n-1"}) == MILK


def test_the_error_of_a_script_is_raised() -> None:
    """A failed call is the error that it was, with its fields; any other is a ScriptError; the outcome is kept."""
    play = Playground(
        notes, {("GET", "/notes/{note_id}"): answer(404, {"message": "no such note"}, {"X-Request-Id": "7"})}
    )

    with pytest.raises(ApiError, match="no such note") as failed:
        play.run("print('before') return app.integrations.notes.get_note('n-9').text")
    assert failed.value.status == 404
    assert failed.value.request_id == "7"
    assert play.outcome.output == "before\n"
    with pytest.raises(ScriptError, match=r"script\.lua:1: oops"):
        play.run("error('oops')")
    with pytest.raises(BadArguments, match="Nothing was sent"):
        play.run("app.integrations.notes.list_notes({ limit = 500 })")


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (MILK, "milk"),
        (answer(200, MILK), "milk"),
        (Response(200, body=b'{"text": "raw"}'), "raw"),
        (lambda request: {"text": request.method}, "GET"),
        (lambda request: answer(200, {"text": "nested"}), "nested"),
        (in_turn({"text": "first"}, {"text": "second"}), "first"),
    ],
    ids=["json", "answer", "response", "function", "function of a response", "in turn"],
)
def test_the_kinds_of_reply(reply: Any, text: str) -> None:
    """JSON, a response, or a function that returns either."""
    play = Playground(notes, {("GET", "/notes/{note_id}"): reply})

    assert play.run("return app.integrations.notes.get_note('n-1').text") == text


def test_a_reply_can_be_a_failure() -> None:
    """As when the service cannot be reached."""
    play = Playground(notes, {("GET", "/notes"): NetworkError("no way there")})

    assert play.run("local ok, e = pcall(app.integrations.notes.list_notes) return e.code, e.retryable") == (
        "network",
        True,
    )


def test_replies_in_turn_end() -> None:
    """Being asked once more is an error that says so."""
    play = Playground(notes, {("GET", "/notes"): in_turn([], [MILK])})
    script = "return #app.integrations.notes.list_notes()"

    assert [play.run(script), play.run(script)] == [0, 1]
    with pytest.raises(CallError, match=r"GET /v1/main/notes\?limit=20: the 2 replies of in_turn are used up"):
        play.run(script)


def test_a_request_without_a_reply_is_an_error_that_names_both() -> None:
    """The author sees what was asked and what there is."""
    play = Playground(notes, {("GET", "/notes/n-1"): MILK, ("POST", "/notes"): MILK})

    with pytest.raises(CallError) as failed:
        play.run("app.integrations.notes.get_note('n-2')")
    assert failed.value.code == "no_reply"
    assert "no reply for GET /v1/main/notes/n-2: there are replies for GET /notes/n-1, POST /notes" in str(failed.value)


def test_the_most_specific_reply_is_taken() -> None:
    """A filled path goes before the template, whatever their order."""
    template, filled = ("GET", "/notes/{note_id}"), ("GET", "/v1/main/notes/n-1")
    play = Playground(notes, {template: {"text": "any"}, filled: MILK})
    script = "local get = app.integrations.notes.get_note return get('n-1').text, get('a/b c').text"

    assert play.run(script) == ("milk", "any")
    assert play.lines[1] == "GET /v1/main/notes/a/b c"
    assert play.requests[1].url.endswith("/notes/a%2Fb%20c")


@notes.reads
def list_tags(api: Api, /, *, note_id: str) -> list:
    """List the tags of a note."""
    return list(by_link(api, "/notes/{note_id}/tags", note_id=note_id))


def test_a_template_fits_what_a_link_leads_to() -> None:
    """The next page's address is the service's own, and nobody knows which template it was made from."""
    pages = in_turn(answer(200, ["dairy"], {"Link": '<tags?page=2>; rel="next"'}), ["cheap"])
    play = Playground(notes, {("GET", "/notes/{id}/tags"): pages})

    assert play.call("notes.list_tags", ["a/b"]) == ["dairy", "cheap"]
    assert play.lines == ["GET /v1/main/notes/a/b/tags", "GET /v1/main/notes/a/b/tags?page=2"]


@pytest.mark.parametrize("path", ["/notes/a%2Fb/tags", "/notes/a/b/tags", "/{shelf}/notes/a%2Fb/{list}", "/tags"])
def test_a_key_is_the_end_of_the_path_as_it_is_sent_or_as_it_reads(path: str) -> None:
    """An author need not know how a value is encoded."""
    assert Playground(notes, {("GET", path): ["dairy"]}).call("notes.list_tags", ["a/b"]) == ["dairy"]


@pytest.mark.parametrize(
    "path", ["/notes", "/notes/{id}", "/notes/{id}/{tags}/{more}", "/notes/n-1/tag", "/notes/n.1/tags"]
)
def test_a_key_of_another_path_does_not_fit(path: str) -> None:
    """A name in braces stands for one part of a path, and anything else for itself."""
    with pytest.raises(CallError, match="no reply for GET /v1/main/notes/n-1/tags"):
        Playground(notes, {("GET", path): ["dairy"]}).call("notes.list_tags", ["n-1"])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/notes/n-1/tags", "/notes/{the_id_of_a_note}/tags"),
        ("/notes/n-1/tags", "/v1/main/notes/{id}/tags"),
        ("/notes/{id}/tags", "/tags"),
        ("/main/notes/{id}/tags", "/notes/{id}/tags"),
        ("/notes/n-1/tags", "/notes/n-1/{list}"),
    ],
)
def test_of_two_keys_the_one_that_says_more_is_taken(first: str, second: str) -> None:
    """Words go before names in braces, from the end of the path on; how long the names are is no matter."""
    for order in ((first, second), (second, first)):
        play = Playground(notes, {("GET", path): [path] for path in order})
        assert play.call("notes.list_tags", ["n-1"]) == [first]


class Tag(TypedDict):
    name: str
    notes: list[int]
    colour: str | None


class Nothing(TypedDict):
    gone: bool


@notes.reads
def get_tag(api: Api, /, *, name: str) -> Tag | Nothing | None:
    """Get a tag."""
    return api.get("/tags/{name}", name=name)


@notes.reads
def find_tags(api: Api, /) -> dict[str, list[Tag]]:
    """Find tags by their first letter."""
    return api.get("/tags")


DAIRY = {"name": "dairy", "notes": [1, 2]}


@pytest.mark.parametrize(
    ("reply", "where"),
    [
        ({"d": DAIRY}, ".d must be a list, not a table"),
        ({"d": [DAIRY, DAIRY | {"notes": [1, "2"]}]}, '.d[2].notes[2] must be an integer, not "2" (a string)'),
        ({"d": [{"name": "dairy"}]}, ".d[1] needs the key 'notes'"),
        ([DAIRY], " must be a table with string keys, not a list"),
        (None, " must be a table with string keys, not nil"),
    ],
)
def test_a_result_that_is_not_what_the_function_declares(reply: Any, where: str) -> None:
    """The page of the function would lie to whoever writes a script, so a test of it fails."""
    play = Playground(notes, {("GET", "/tags"): answer(200, reply)})

    with pytest.raises(CallError) as failed:
        play.run("return app.integrations.notes.find_tags()")
    assert failed.value.code == "wrong_result"
    assert failed.value.message == f"find_tags does not return what it declares: its result{where}"


@pytest.mark.parametrize("more", [{}, {"colour": "blue"}, {"colour": None, "shape": "round"}])
def test_a_result_may_hold_more_than_the_function_declares(more: dict[str, Any]) -> None:
    """Services add keys; what is there reaches the script, and what may be None may be absent."""
    play = Playground(notes, {("GET", "/tags"): {"d": [DAIRY | more]}, ("GET", "/tags/dairy"): DAIRY | more})

    assert play.call("notes.find_tags") == {"d": [DAIRY | more]}
    assert play.call("notes.get_tag", ["dairy"]) == DAIRY | more


@pytest.mark.parametrize(("reply", "fits"), [({"gone": True, "since": 1}, True), (None, True), ({"gone": 1}, False)])
def test_a_result_is_of_one_of_several_types(reply: Any, fits: bool) -> None:
    """More keys than that one has are no mistake here either."""
    play = Playground(notes, {("GET", "/tags/dairy"): answer(200, reply)})
    script = "local ok, e = pcall(app.integrations.notes.get_tag, 'dairy') return ok, not ok and e.code"

    assert play.run(script) == (fits, not fits and "wrong_result")


@notes.reads
def get_owner(api: Api, /, *, owner: int) -> dict:
    """Get an owner."""
    return api.get("/owners/{owner}", owner=owner)


def test_an_id_beyond_64_bits_can_be_handed_on() -> None:
    """Lua gets it as a string, and the function that it is given to takes it as the integer that it is."""
    play = Playground(notes, {("GET", "/owners/{owner}"): {"id": 2**64, "chief": 2**64 + 1}})
    play.run("local get = app.integrations.notes.get_owner get(get(7).chief)")

    assert play.lines == ["GET /v1/main/owners/7", "GET /v1/main/owners/18446744073709551617"]


def test_requests_are_whole() -> None:
    """Bodies and credentials can be looked at."""
    play = Playground(notes, {("POST", "/notes"): MILK}, accounts={"default": {"api_key": "hush-hush"}})
    play.run("app.integrations.notes.add_note('eggs')")

    assert play.requests[0].body == b'{"text":"eggs"}'
    assert play.requests[0].headers["Authorization"].reveal() == "Bearer hush-hush"
    assert "hush-hush" not in repr(play.requests)


def test_what_an_account_needs_is_made_up() -> None:
    """A test that is about something else says nothing of credentials."""
    play = Playground(notes, {("GET", "/notes"): []})
    play.call("notes.list_notes")

    assert play.requests[0].headers["Authorization"].reveal() == "Bearer made-up-api_key"


@dataclass(frozen=True)
class OwnAccount:
    """A server of one's own."""

    base_url: str
    region: Literal["eu", "us"]
    port: Annotated[int, between(1024, 65535)]
    strict: bool
    tags: list[str]

    def open(self, send: Send) -> Api:
        return Api(send, f"{self.base_url}:{self.port}/{self.region}")


own = Integration("own", OwnAccount, about="Self-hosted.")


@own.reads
def get_it(api: Api, /) -> dict:
    """Get it."""
    return api.get("/it")


@own.simulator
def simulate_own(account: str) -> Send:
    """Return a server that answers with the address that it was asked for."""
    return lambda request: answer(200, {"url": request.url})


def test_what_is_made_up_has_the_type_that_is_declared() -> None:
    """An address is one, a choice is the first; and a simulation makes up the same."""
    play = Playground(own, {("GET", "/it"): {}})
    play.call("own.get_it")
    assert play.requests[0].url == "https://own.example:1024/eu/it"

    with Runtime(os.devnull, plugins=own, simulate=True, environ={}) as runtime:
        assert runtime.call("own.get_it") == {"url": play.requests[0].url}


def test_several_accounts() -> None:
    """Each is there under its name, with its own settings."""
    accounts = {"work": {"shelf": "office"}, "home": {"shelf": "kitchen"}}
    play = Playground(notes, {("GET", "/notes"): []}, accounts=accounts)
    play.run("for _, name in ipairs({ 'home', 'work' }) do app.integrations.notes[name].list_notes() end")

    assert play.lines == ["GET /v1/kitchen/notes?limit=20", "GET /v1/office/notes?limit=20"]


def test_a_send_answers_everything() -> None:
    """For services that are easier said in a function."""

    def send(request: Request) -> Response:
        return answer(200, {"text": request.url.rpartition("/")[2]})

    assert Playground(notes, send=send).run("return app.integrations.notes.get_note('n-5').text") == "n-5"


def test_the_simulator_answers_where_nothing_else_does() -> None:
    """One for each account, whose requests are kept as well; without one there is no reply."""
    with_simulator = Integration("notes", Account, about="Notes.")
    with_simulator.reads(get_note)
    with_simulator.simulator(lambda account: lambda request: answer(200, {"text": account}))
    play = Playground(with_simulator, accounts={"default": {}, "home": {}})

    assert play.run("local n = app.integrations.notes return n.get_note('1').text, n.home.get_note('1').text") == (
        "default",
        "home",
    )
    assert len(play.requests) == 2
    with pytest.raises(CallError, match="it was given no replies"):
        Playground(notes).call("notes.list_notes")


def test_nothing_else_is_installed() -> None:
    """Neither the bundled integrations nor the user's own are there, and none that has the same name is in the way."""
    names = "local names = {} for name in pairs(app.integrations) do names[#names + 1] = name end return names"

    assert Playground(notes).run(names) == ["notes"]


def test_writes_are_allowed_and_options_of_a_run_apply() -> None:
    """Such as read_only, which shows how a script takes a no."""
    play = Playground(notes, {("POST", "/notes"): MILK})
    script = "return app.integrations.notes.add_note('eggs').id"

    assert play.run(script) == "n-1"
    with pytest.raises(Denied):
        play.run(script, read_only=True)
    assert play.run("return ...", args=["a", "b"]) == ("a", "b")


def test_neither_accounts_nor_variables_of_the_user_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test does the same on every machine."""
    (tmp_path / "accounts.toml").write_text("this is no TOML")
    monkeypatch.setenv("KOSMOLUA_ACCOUNTS", str(tmp_path / "accounts.toml"))
    monkeypatch.setenv("NOTE_API_KEY", "real")
    play = Playground(notes, {("GET", "/notes"): []})
    play.call("notes.list_notes")

    assert play.requests[0].headers["Authorization"].reveal() == "Bearer made-up-api_key"


def test_a_path_leads_to_the_operations_of_its_route() -> None:
    """The values of the names are decoded, and a star stands for several parts."""
    routes = Routes()
    get = routes.on("GET", "/shelves/{shelf}/notes/{*path}")(lambda: "got")
    put = routes.on("PUT", "/shelves/{shelf}/notes/{*path}")(lambda: "put")
    found = routes.find("/shelves/a%20b/notes/x/y.md")
    assert found is not None
    assert found.path == "/shelves/{shelf}/notes/{*path}"
    assert found.segments == {"shelf": "a b", "path": "x/y.md"}
    assert found.operations == {"GET": get, "PUT": put}


@pytest.mark.parametrize("path", ["/notes", "/notes/1/more", "/v2/notes/1", ""])
def test_a_path_must_match_a_route_as_a_whole(path: str) -> None:
    """A longer or shorter one leads nowhere."""
    routes = Routes()
    routes.on("GET", "/notes/{note_id}")(lambda: None)
    assert routes.find(path) is None


class Shelf(SimulatedService):
    """Counts the requests of an account."""

    def respond(self, request: Request) -> Response:
        counts = self._account.kept("counts", request.method, lambda: [0])
        counts[0] += 1
        return answer(200, counts, {"X-Own": "1"})


def test_a_simulated_account_goes_on_from_its_dump() -> None:
    """A dump is a copy, so that later requests do not change it."""
    first = Shelf(SimulatedAccount("Shelf", "work", {"counts": {}}))
    first(Request("GET", "https://x.example/"))
    state = first.dump()
    assert first(Request("GET", "https://x.example/")).json() == [2]
    again = Shelf(SimulatedAccount("Shelf", "work", {"counts": {}}, state))
    response = again(Request("GET", "https://x.example/"))
    assert response.json() == [2]
    assert response.headers == {"X-Own": "1", "Content-Type": "application/json"}


@pytest.mark.parametrize("state", [{}, {"account": "home", "counts": {}}, {"account": "work", "counts": []}])
def test_the_state_of_another_account_is_refused(state: dict[str, Any]) -> None:
    """The message names service and account."""
    with pytest.raises(ValueError, match="not the state of a simulated Shelf account work"):
        SimulatedAccount("Shelf", "work", {"counts": {}}, state)


@pytest.mark.slow
@linux_only
def test_its_process_ends_when_it_is_forgotten() -> None:
    """No test has to close anything."""
    before = children(os.getpid())
    play = Playground(notes)
    play.run("return 1")
    own = children(os.getpid()) - before
    assert own

    del play
    gc.collect()
    assert eventually(lambda: not children(os.getpid()) & own)


@pytest.mark.slow
def test_the_docstrings_example_passes(tmp_path: Path) -> None:
    """What the module says of itself is a test that runs."""
    import kosmolua.testing

    (tmp_path / "test_it.py").write_text(
        "from test_testing import notes as integration\nfrom kosmolua.testing import Playground\n"
        + textwrap.dedent(str(kosmolua.testing.__doc__).split("\n\n")[1]).replace("/v1/notes", "/v1/main/notes")
    )
    tests = str(Path(__file__).parent)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, str(Path(tests).parent)])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout
