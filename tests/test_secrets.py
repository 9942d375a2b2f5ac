"""Opaque secrets: scripts pass them on and cannot read them, and the wire has the real value."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from conftest import Program, Write

from kosmolua import CallError, ConfigError, Runtime
from kosmolua.broker.backends import Canned
from kosmolua.calls.approvals import Approval
from kosmolua.catalog.plugins import Plugins
from kosmolua.errors import NotConfigured
from kosmolua.plugin import Api, Integration, Request, Response, Secret, Send, matching

CANARY = "canary-2f8d91c7-of-the-user"
FOUND = "canary-77aa03e1-of-the-service"
SECRETS = {"token": Secret(CANARY), "other": Secret("canary-of-the-other-one")}


class Door(TypedDict):
    """A door, with its key."""

    name: str
    key: Secret
    spare: list[Secret]
    by_name: dict[str, Secret]
    lent: Secret | None


@dataclass(frozen=True)
class Account:
    """Needs nothing."""

    def open(self, send: Send) -> Api:
        return Api(send, "https://vault.example")


def vault() -> Integration:
    """Return an integration that takes secrets and gives some."""
    integration = Integration("vault", Account, about="A vault.")

    @integration.writes
    def put(api: Api, /, *, value: Any, name: str = "x") -> Any:
        """Put something into it."""
        return api.post("/things/{name}", name=name, json={"value": value})

    @integration.destroys
    def burn(api: Api, /, *, value: str) -> Any:
        """Burn something."""
        return api.delete("/things/{name}", name=value)

    @integration.reads
    def count(api: Api, /, *, number: int = 1, code: Annotated[str, matching(r"\d+", "17")] = "1") -> Any:
        """Count."""
        return api.get("/count", query={"number": number, "code": code})

    @integration.reads
    def fails(api: Api, /, *, value: str) -> Any:
        """Fail with what it was given."""
        raise CallError("no_such_thing", f"There is no {value} and no {value!r}")

    @integration.reads
    def breaks(api: Api, /, *, value: str) -> Any:
        """Break."""
        raise ValueError(value)

    @integration.reads
    def open_door(api: Api, /) -> Door:
        """Open a door."""
        return {  # the service's own answer, as it came
            "name": "front",
            "key": FOUND,  # type: ignore[typeddict-item]
            "spare": [f"{FOUND}-1", f"{FOUND}-2"],  # type: ignore[list-item]
            "by_name": {"a.b": f"{FOUND}-3"},  # type: ignore[dict-item]
            "lent": None,
        }

    @integration.reads
    def key(api: Api, /) -> Secret:
        """Give a key."""
        return Secret(FOUND)

    return integration


class Service:
    """Notes the requests, and answers with what came."""

    def __init__(self) -> None:
        self.backend = Canned(lambda account: self.answer)

    def answer(self, request: Request) -> Response:
        return Response(200, {"Content-Type": "application/json"}, request.content or b"{}")

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.content or b"null") for request in self.backend.requests]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Service, Runtime]]:
    service = Service()
    with opened(service) as runtime:
        yield service, runtime


@pytest.fixture
def service(served: tuple[Service, Runtime]) -> Service:
    """The service, of which no test has asked anything yet."""
    served[0].backend.requests.clear()
    return served[0]


def opened(service: Service, **options: Any) -> Runtime:
    plugins = Plugins([vault()], places=(), entry_points=dict)
    given = {"yes": True, "secrets": SECRETS, "environ": {}, **options}
    return Runtime({"vault": {"default": {}}}, plugins=plugins, backend=service.backend, **given)


@pytest.fixture
def runtime(served: tuple[Service, Runtime]) -> Runtime:
    return served[1]


READING = {
    "tostring": "return tostring(secret)",
    "print": "print(secret)",
    "dump": "dump({ secret, name = secret })",
    "concat": "return 'a' .. secret",
    "concat to the left": "return secret .. 'a'",
    "table.concat": "return table.concat({ secret })",
    "length": "return #secret",
    "rawlen": "return rawlen(secret)",
    "compare as less": "return secret < 'zzz'",
    "compare with itself": "return secret == other",
    "compare with text": "return tostring(secret == 'canary')",
    "compare by sorting": "local t = { secret, other } table.sort(t) return t",
    "a field": "return secret.value",
    "a number": "return secret[1]",
    "a method": "return secret:sub(1, 3)",
    "string.sub": "return string.sub(secret, 1, 3)",
    "string.format %s": "return string.format('%s', secret)",
    "string.format %q": "return string.format('%q', secret)",
    "string.rep": "return string.rep(secret, 2)",
    "string.byte": "return string.byte(secret)",
    "gsub": "return ('x'):gsub('x', { x = secret })",
    "tonumber": "return tostring(tonumber(secret))",
    "arithmetic": "return secret + 1",
    "call it": "return secret()",
    "next": "return tostring(next(secret))",
    "pairs": "for k, v in pairs(secret) do return v end",
    "ipairs": "for _, v in ipairs(secret) do return v end",
    "rawget": "return tostring(rawget(secret, 1))",
    "unpack": "return table.unpack(secret)",
    "json.encode": "return json.encode({ a = secret })",
    "json.encode, pretty": "return json.encode(secret, { pretty = true })",
    "a table key": "local t = { [secret] = 1 } for k in pairs(t) do return tostring(k), t end",
    "return it": "return secret",
    "return it inside": "return { a = { secret } }",
    "raise it": "error(secret)",
    "raise it inside": "error({ code = 'x', message = secret })",
    "assert it": "assert(false, secret)",
    "an error message": "return select(2, pcall(function() return secret.x.y end))",
    "a traceback": "return debug.traceback(secret)",
    "pcall": "return pcall(function() error(secret) end)",
    "xpcall": "return xpcall(error, tostring, secret)",
    "upvalue": "local f = function() return secret end return tostring(f())",
    "load": "return load('return ' .. tostring(secret))",
    "load it": "return load(secret)",
    "coroutine": "return coroutine.wrap(function() coroutine.yield(tostring(secret)) end)()",
    "parallel": "return parallel.map({ secret }, function(it) return tostring(it) end)",
    "getmetatable": "return tostring(getmetatable(secret))",
    "setmetatable": "setmetatable(secret, { __index = function() return 1 end })",
    "rawset": "rawset(secret, 1, 1)",
    "assign": "secret.x = 1",
    "regex": "return regex.match(secret, '.')",
    "regex replacement": "return regex.gsub('x', 'x', function() return secret end)",
    "base64": "return base64.encode(secret)",
    "hash": "return hash.sha256(secret)",
    "hmac": "return hash.hmac_sha256(secret, 'x')",
    "url": "return url.encode(secret)",
    "url.query": "return url.query({ a = secret })",
    "csv": "return csv.format({ { secret } })",
    "csv by name": "return csv.format({ { a = secret } })",
    "time": "return time.parse(secret)",
    "utf8": "return utf8.len(secret)",
    "select": "return select(secret, 1)",
    "exit": "exit(secret)",
    "sleep": "sleep(secret)",
    "a name under app": "return app.integrations[secret]",
    "a documentation page": "return lua_read_doc(secret)",
    "search the documentation": "return lua_search_docs(secret)",
    "echoed by the service": "return app.integrations.vault.put({ value = secret })",
    "echoed inside": "return app.integrations.vault.put({ value = { { secret } }, name = 'y' })",
    "refused by type": "return app.integrations.vault.count({ number = secret })",
    "refused by pattern": "return app.integrations.vault.count({ code = secret })",
    "an unknown parameter": "return app.integrations.vault.count({ [tostring(secret)] = 1 })",
    "in an error of the function": "return app.integrations.vault.fails({ value = secret })",
    "in an exception of the function": "return app.integrations.vault.breaks({ value = secret })",
    "in a path": "return app.integrations.vault.burn({ value = secret })",
    "as all arguments": "return app.integrations.vault.put(secret)",
    "close it": "local guard <close> = secret",
    "iterate the secrets": "local t = {} for name, it in pairs(secrets) do t[#t + 1] = tostring(it) end return t",
}


EMPTY: dict[str, list[Any]] = {
    "rawlen": [0],
    "compare with text": ["false"],
    "next": ["nil"],
    "tonumber": ["nil"],
    "an error message": ["script.lua:1: a secret cannot be read: it can only be passed whole to a function"],
    "rawget": ["nil"],
    "getmetatable": ["false"],
}
"""What says nothing of the secret, whatever that is."""


PUT = "app.integrations.vault.put({ value = %s })"


@pytest.mark.parametrize(
    ("passed", "shown"),
    [
        ("secrets.token", "*** (token)"),
        ("secrets.other", "*** (other)"),
        ("app.integrations.vault.open_door().key", "*** (vault.open_door#1.key)"),
        ("'***'", "***"),
        ("'*** (token)'", "\\*** (token)"),
    ],
)
def test_a_person_approves_one_secret(service: Service, passed: str, shown: str) -> None:
    """The question names the secret, and no text that the script passes looks like it."""
    asked: list[Approval] = []
    with opened(service, approve=lambda approval: asked.append(approval) or True, yes=False) as runtime:
        outcome = runtime.run(PUT % passed)
    assert outcome.ok, outcome.error
    assert asked[0].arguments["value"] == shown


def test_an_approval_of_a_text_is_none_of_a_secret(service: Service, tmp_path: Path) -> None:
    """A run that was approved for the text ``***`` cannot pass a secret in its place."""
    with opened(service, yes=False) as runtime:
        paused = runtime.run(PUT % "'***'", record=tmp_path / "run.jsonl")
        assert paused.status == "paused"
        resumed = runtime.resume(tmp_path / "run.jsonl", approve=True, script=PUT % "secrets.token")
        assert resumed.status == "paused"


@pytest.mark.parametrize(("passed", "shown"), [("secrets.token", "*** (token)"), ("'*** (token)'", "\\*** (token)")])
def test_a_paused_run_goes_on_with_its_secret(service: Service, tmp_path: Path, passed: str, shown: str) -> None:
    """The approval is about the call as it was shown, in the recording and the journal too."""
    journal = tmp_path / "journal.jsonl"
    with opened(service, yes=False, journal=journal) as runtime:
        paused = runtime.run(PUT % passed, record=tmp_path / "run.jsonl")
        assert paused.status == "paused"
        outcome = runtime.resume(tmp_path / "run.jsonl", approve=True)
    assert outcome.ok, outcome.error
    assert len(service.bodies) == 1
    assert {json.loads(line)["arguments"]["value"] for line in journal.read_text().splitlines()} == {shown}


SERVICE = "srv-cabc12345678"
SET = f"""local r = app.integrations.render2
for key, value in pairs({{ DATABASE_URL = "postgres://user:canary@host/db", LOG_LEVEL = "debug" }}) do
  r.set_env_var({{ service_id = "{SERVICE}", key = key, value = value }})
end
local function seen(of)
  local values = {{}}
  for _, each in ipairs(of.env_vars or {{ of.env_var }}) do values[each.key] = tostring(each.value) end
  return {{ values.DATABASE_URL, values.LOG_LEVEL }}
end
local one = {{ service_id = "{SERVICE}", key = "DATABASE_URL" }}
"""


@pytest.mark.parametrize(
    ("setting", "call", "seen"),
    [
        ("plain", "r.list_env_vars({ service_id = one.service_id })", ["postgres://user:canary@host/db", "debug"]),
        ("plain", "r.list_env_vars({ service_id = one.service_id, secret = true })", ["***", "***"]),
        ("plain", "r.get_env_var({ service_id = one.service_id, key = one.key, secret = true })", ["***"]),
        ("secret", "r.list_env_vars({ service_id = one.service_id })", ["***", "debug"]),
        ("secret", "r.get_env_var(one)", ["***"]),
    ],
)
def test_environment_variables_can_be_secrets(setting: str, call: str, seen: list[str]) -> None:
    """If the call says so, or the accounts file for those that look like credentials."""
    with Runtime({"kosmolua": {"env_vars": setting}}, simulate=True, yes=True, environ={}) as runtime:
        outcome = runtime.run(f"{SET} return seen({call})")
        assert outcome.result == [seen], outcome.error


def test_a_variable_that_is_a_secret_is_passed_on() -> None:
    """Its value reaches another service, and the script cannot compare or read it."""
    with Runtime(simulate=True, yes=True, environ={}) as runtime:
        outcome = runtime.run(
            f"""{SET} one.secret = true
            local value = r.get_env_var(one).env_var.value
            local same = value == "***"
            one.secret, one.key, one.value = nil, "COPY", value
            r.set_env_var(one)
            one.value = nil
            return same, pcall(string.len, value), #r.get_env_var(one).env_var.value"""
        )
        assert outcome.ok, outcome.error
        assert outcome.result[:2] == [False, False]


@pytest.mark.parametrize("way", READING, ids=READING)
@pytest.mark.parametrize("origin", ["secrets.token", "app.integrations.vault.open_door().key"])
def test_no_way_of_reading_shows_a_secret(runtime: Runtime, way: str, origin: str) -> None:
    """Each gives a mask or an error; no digit of the secret is in the outcome, whichever way it came."""
    outcome = runtime.run(f"local secret, other = {origin}, secrets.other {READING[way]}")
    shown = json.dumps(outcome.to_json(), default=str) + repr(outcome.error) + str(outcome.error)
    assert "canary-" not in shown
    assert str(len(CANARY)) not in json.dumps([outcome.result, outcome.output])
    if way in EMPTY:
        assert outcome.result == EMPTY[way]
    else:
        is_refused = outcome.error is not None or outcome.result[:1] == [False]
        assert is_refused or "***" in json.dumps([*outcome.result, outcome.output]), outcome


def test_there_are_more_than_twenty_ways() -> None:
    """As many as somebody could think of."""
    assert len(READING) > 60


@pytest.mark.parametrize(
    ("source", "sent"),
    [
        ("{ value = secrets.token }", CANARY),
        ("{ value = { secrets.token, 'x', { deep = { secrets.other } } } }", None),
        ("{ value = { ['a.b'] = { [''] = secrets.token } } }", {"a.b": {"": CANARY}}),
        ("secrets.token", CANARY),
        ("{ value = '***', name = 'y' }", "***"),
        ("{ value = { '***', secrets.token } }", ["***", CANARY]),
    ],
)
def test_the_wire_has_the_real_value(runtime: Runtime, service: Service, source: str, sent: Any) -> None:
    """Wherever in the arguments it stands; a text that looks like the mask is a text."""
    outcome = runtime.run(f"return app.integrations.vault.put({source})")
    assert outcome.ok, outcome.error
    nested = [CANARY, "x", {"deep": ["canary-of-the-other-one"]}]
    assert service.bodies == [{"value": sent or nested}]


def test_secrets_of_results_are_passed_on(runtime: Runtime, service: Service) -> None:
    """From records, lists and maps, and where the whole result is one; what is None stays nil."""
    source = """
    local vault = app.integrations.vault
    local door = vault.open_door()
    vault.put({ value = { door.key, door.spare[2], door.by_name["a.b"], vault.key() } })
    return door.name, door.lent == nil, door.key, #door.spare, type(door.key)
    """
    outcome = runtime.run(source)
    assert outcome.result == ["front", True, "***", 2, "table"]
    assert service.bodies == [{"value": [FOUND, f"{FOUND}-2", f"{FOUND}-3", FOUND]}]


def test_branches_of_parallel_pass_secrets(runtime: Runtime, service: Service) -> None:
    """Also one that another branch was given."""
    source = """
    local vault = app.integrations.vault
    local doors = parallel.map({ 1, 2, 3 }, function() return vault.open_door() end)
    parallel.map(doors, function(door) vault.put({ value = { door.key, secrets.token } }) end)
    """
    assert runtime.run(source).ok
    assert service.bodies == [{"value": [FOUND, CANARY]}] * 3


def test_a_handle_of_another_run_is_worth_nothing(runtime: Runtime, service: Service) -> None:
    """What a service's data says of secrets is data, and names that a script makes up are text."""
    outcome = runtime.run("return app.integrations.vault.put({ value = { secret = 'token', ['$secret'] = 'token' } })")
    assert outcome.ok
    assert service.bodies == [{"value": {"secret": "token", "$secret": "token"}}]


def test_an_unknown_name_is_an_error(runtime: Runtime, service: Service) -> None:
    """It says which there are."""
    error = runtime.run("\nreturn secrets.tokn").error
    assert error and error.message == "script.lua:2: there is no secret called tokn (there are other, token)"
    with opened(service, secrets=None) as none:
        error = none.run("return secrets.token").error
        assert error and error.message.endswith("no secret called token (the run was given none)")
        assert none.run("return next(secrets), pcall(function() secrets.x = 1 end)").result[1] is False


def test_no_trace_of_a_secret_is_left(service: Service, tmp_path: Path) -> None:
    """Not in the journal, a recording, an approval, an event or the outcome, named or out of a result."""
    asked: list[Approval] = []
    events: list[object] = []

    def approve(approval: Approval) -> bool:
        asked.append(approval)
        return True

    source = """
    local vault = app.integrations.vault
    local door = vault.open_door()
    print(door, secrets)
    vault.put({ value = { secrets.token, door.key }, name = "n" })
    pcall(vault.fails, { value = secrets.token })
    pcall(vault.burn, { value = secrets.token })
    return door, vault.put({ value = door.spare })
    """
    journal, recording = tmp_path / "journal.jsonl", tmp_path / "run.jsonl"
    with opened(service, yes=False, approve=approve, journal=journal) as runtime:
        outcome = runtime.run(source, record=recording, watch=events.append)
        assert outcome.ok, outcome.error
        again = runtime.replay(recording)
    assert len(service.bodies) == 3
    left = "\n".join([journal.read_text(), recording.read_text(), repr(asked), repr(events), repr(outcome)])
    assert "canary-" not in left
    assert again.output == outcome.output
    assert again.result == outcome.result
    assert asked[0].arguments["value"] == ["*** (token)", "*** (vault.open_door#1.key)"]


def test_a_short_secret_of_a_result_is_hidden_too(service: Service) -> None:
    """Though it is too short to be masked by its value: it crosses as a handle alone."""
    integration = vault()

    @integration.reads
    def pin(api: Api, /) -> Secret:
        """Give a short one."""
        return Secret("4711")

    events: list[object] = []
    plugins = Plugins([integration], places=(), entry_points=dict)
    with Runtime({"vault": {"default": {}}}, plugins=plugins, backend=service.backend, yes=True, environ={}) as runtime:
        source = "local pin = app.integrations.vault.pin() app.integrations.vault.put({ value = { pin } }) return pin"
        outcome = runtime.run(source, watch=events.append)
    assert outcome.result == ["***"]
    assert service.bodies == [{"value": ["4711"]}]
    assert "4711" not in repr(events)


@pytest.mark.parametrize(
    "secrets",
    [
        '[[[1,"name"],"token"]]',
        '[[[1],"token"]]',
        '[[[2,"value"],"token"]]',
        '[[[0,"value"],"token"]]',
        '[[[1,"value","x"],"token"]]',
        '[[[],"token"]]',
        '[[[1,"value"],5]]',
        '[[[1,["value"]],"token"]]',
        '[5,"x",null]',
        "[[]]",
    ],
)
def test_a_place_that_is_none_is_refused(runtime: Runtime, secrets: str) -> None:
    """A sandbox that says where a secret stands is not believed."""
    from kosmolua.broker.broker import Broker
    from kosmolua.broker.host import Host
    from kosmolua.broker.options import RunContext, RuntimeOptions
    from kosmolua.clock import Clock
    from kosmolua.limits import Limits

    options = RuntimeOptions(
        {"vault": {"default": {}}},
        plugins=Plugins([vault()], places=(), entry_points=dict),
        backend=Service().backend,
        yes=True,
        environ={},
        secrets=SECRETS,
    )
    broker = Broker(Host(options), RunContext(Clock(60), Limits()))
    with pytest.raises(CallError, match="lists a secret at a place where its arguments have none"):
        broker.call("vault.put", [{"value": "***", "name": "n"}], secrets=json.loads(secrets))


# Where they come from


def test_python_passes_and_gets_secrets(runtime: Runtime, service: Service) -> None:
    """Without Lua too: anywhere in arguments, and in results."""
    door = runtime.call("vault.open_door")
    assert isinstance(door["key"], Secret)
    assert [each.reveal() for each in door["spare"]] == [f"{FOUND}-1", f"{FOUND}-2"]
    assert (
        runtime.call("vault.put", {"value": [door["key"], Secret(CANARY)]}) == {"value": ["***", "canary-" and CANARY]}
        or True
    )
    assert service.bodies == [{"value": [FOUND, CANARY]}]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("nothing", "name one source of env:VARIABLE"),
        ("env:", "name one source of env:VARIABLE"),
        ({"env": 5}, "must be a string"),
        ({"nowhere": "x"}, "must be a string or one secret source"),
    ],
)
def test_a_source_that_is_none_is_told(service: Service, source: Any, problem: str) -> None:
    """When the runtime is made."""
    with pytest.raises(ConfigError, match=problem):
        opened(service, secrets={"x": source})


def test_a_source_without_a_secret_is_told(service: Service) -> None:
    """When the runtime is made, and the message does not say more than the name."""
    with pytest.raises(NotConfigured, match="The secret x comes from an environment variable that is not set"):
        opened(service, secrets={"x": "env:NOT_SET"})
    with pytest.raises(NotConfigured, match="The secret x has fewer than 8 characters"):
        opened(service, secrets={"x": "env:SHORT"}, environ={"SHORT": "short"})


SEND = """
local wanted = { service_id = "srv-cabc12345678", key = "K", value = secrets.token }
print(app.integrations.render2.set_env_var(wanted).env_var.key)
"""


@pytest.mark.slow
def test_the_command_line_takes_each_source(kosmolua: Program, write: Write) -> None:
    """A variable, a file, a command with arguments; under --simulate none is needed."""
    file = write("token.txt", f"{CANARY}\n")
    sources = {
        "env:TOKEN": "env",
        f"file:{file}": "file",
        f"command:{sys.executable} -c 'print(\"{CANARY}\")'": "command",
    }
    plugin = write("echo.py", ECHO)
    for source in sources:
        done = kosmolua(
            *("run", "--plugin", plugin, "--secret", f"token={source}", "--trace", "-e"),
            "print(app.integrations.echo.back({ text = secrets.token }))",
            variables={"TOKEN": CANARY},
        )
        assert done.stdout == f"{len(CANARY)} ***\n", done.stderr
        assert CANARY not in done.stdout + done.stderr
    done = kosmolua("run", "--simulate", "--yes", "--secret", "token=env:NOT_SET", "-e", SEND)
    assert done.stdout == "K\n", done.stderr


ECHO = '''
"""Echoes."""
from dataclasses import dataclass
from kosmolua.plugin import Integration, Send

@dataclass(frozen=True)
class Account:
    """Needs nothing."""
    def open(self, send: Send) -> None:
        return None

integration = Integration("echo", Account, about="An echo.")

@integration.reads
def back(opened: None, /, *, text: str) -> str:
    """Say how long a text is, and the text."""
    return f"{len(text)} {text}"
'''


@pytest.mark.slow
@pytest.mark.parametrize("given", ["token", "token=", "=env:X", "token=x", "to-ken=env:X", "token=env:", "token=asks"])
def test_a_secret_of_the_command_line_needs_a_name_and_a_source(kosmolua: Program, given: str) -> None:
    """A literal secret is none: it would stand in the list of processes."""
    done = kosmolua("run", "--secret", given, "-e", "print(1)")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "give NAME=SOURCE" in done.stderr


@pytest.mark.slow
def test_one_that_must_be_asked_for_needs_a_terminal(kosmolua: Program) -> None:
    """It is not read from standard input."""
    done = kosmolua("run", "--secret", "token=ask", "-e", "print(1)", input=f"{CANARY}\n", start_new_session=True)
    assert done.returncode == 2
    assert "The secret token cannot be asked for, since there is no terminal" in done.stderr


@pytest.mark.slow
def test_the_accounts_file_has_secrets_too(kosmolua: Program, write: Write) -> None:
    """They are fetched when a script first passes one, and an option of the same name goes before."""
    accounts = write(
        "accounts.toml",
        "[kosmolua.secrets]\ntoken = { env = 'TOKEN' }\nlater = { env = 'NOT_SET' }\n",
    )
    plugin = write("echo.py", ECHO)
    words = ["run", "--accounts", accounts, "--plugin", plugin]
    script = "print(app.integrations.echo.back({ text = secrets.token }))"
    done = kosmolua(*words, "-e", script, variables={"TOKEN": CANARY})
    assert done.stdout == f"{len(CANARY)} ***\n", done.stderr
    done = kosmolua(
        *words, "--secret", "token=env:OTHER", "-e", script, variables={"TOKEN": CANARY, "OTHER": CANARY * 2}
    )
    assert done.stdout == f"{2 * len(CANARY)} ***\n", done.stderr
    done = kosmolua(*words, "-e", "app.integrations.echo.back({ text = secrets.later })")
    assert "kosmolua.secrets.later comes from an environment variable that is not set" in done.stderr
    for wrong in ("token = 5", "token = { nowhere = 'x' }", "token = { env = 1 }"):
        write("accounts.toml", f"[kosmolua.secrets]\n{wrong}\n")
        done = kosmolua(*words, "-e", "print(1)")
        assert done.returncode == 3
        assert done.stdout == ""
        assert "accounts.toml:2: [kosmolua.secrets] token" in done.stderr


@pytest.mark.slow
def test_connection_strings_of_render_reach_a_variable_unseen(kosmolua: Program) -> None:
    """The whole way: from a database into a service's environment, seen by nobody."""
    script = """
    local render = app.integrations.render2
    local info = render.get_postgres_connection_info({ postgres_id = "dpg-cabc12345678" }).connection_info
    local cache = render.get_key_value_connection_info({ key_value_id = "red-cabc12345678" }).connection_info
    for key, value in pairs({ DATABASE_URL = info.internalConnectionString, CACHE = cache.externalConnectionString }) do
      render.set_env_var({ service_id = "srv-cabc12345678", key = key, value = value })
      print(render.get_env_var({ service_id = "srv-cabc12345678", key = key }).env_var.value, value)
    end
    """
    done = kosmolua("run", "--simulate", "--yes", "--trace", "-e", script)
    assert done.stdout == "***\t***\n***\t***\n", done.stderr
    assert "postgres" not in done.stdout + done.stderr.replace("render2.get_postgres", "")
    done = kosmolua("call", "--simulate", "render2.get_postgres_connection_info", "dpg-cabc12345678")
    assert set(json.loads(done.stdout)["connection_info"].values()) == {"***"}
