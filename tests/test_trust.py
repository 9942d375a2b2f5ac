"""Recordings and plans from elsewhere: what stands in such a file is a claim, and runs and sends nothing by itself."""

from __future__ import annotations

import copy
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Program, Write
from support.library import KEY, Account, library
from support.loopback import Loopback
from support.recordings import events_in, forged
from support.rounds import rounds
from support.shelf import Shelf

from kosmolua import ConfigError, Runtime, UnderWay
from kosmolua.catalog.plugins import Plugins
from kosmolua.limits import Limits
from kosmolua.plugin import Integration
from kosmolua.recordings.plans import Plan
from kosmolua.recordings.recording import Writer, read
from kosmolua.recordings.signing import Signer, identity
from kosmolua.secret import Redactor, Secret
from kosmolua.stores.folder_store import Folder

ASKING = 'print("asks") return app.integrations.library.lend({ book = "b-1" }).n'
LENDING = 'for n = 1, 3 do app.integrations.library.lend({ book = "b-" .. n }) end'


@pytest.fixture
def shelf() -> Shelf:
    """The service."""
    return Shelf()


@pytest.fixture
def server(shelf: Shelf) -> Iterator[Loopback]:
    """The service, behind a web server."""
    with Loopback(shelf) as server:
        yield server


@pytest.fixture
def open_runtime(server: Loopback, tmp_path: Path) -> Iterator[Callable[..., Runtime]]:
    """Return a function that opens a runtime whose library is the service, with a store of its own."""
    opened: list[Runtime] = []

    def open_runtime(store: str = "mine", *, write: str = "ask", **options: Any) -> Runtime:
        account = {"api_key": KEY, "base_url": server.url, "permissions": {"write": write}}
        plugins = Plugins([library()], places=(), entry_points=dict)
        given = {"plugins": plugins, "environ": {}, "store": Folder(tmp_path / store), **options}
        opened.append(Runtime({"library": {"default": account}}, **given))
        return opened[-1]

    yield open_runtime
    for runtime in opened:
        runtime.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a recording goes."""
    return tmp_path / "run.jsonl"


def approved(file: Path) -> list[dict[str, Any]]:
    """Return the events of a paused run, with a forged approval of the call that waits."""
    events = events_in(file)
    call = events[-1]["error"]["fields"]["calls"][0]
    resumed = {"event": "resumed", "time": events[-1]["time"], "kosmolua": events[0]["kosmolua"]}
    return [*events, resumed, {"event": "decision", "decision": "approve", "number": call["number"], "call": call}]


def test_an_approval_that_only_stands_in_the_file_is_none(
    open_runtime: Callable[..., Runtime], shelf: Shelf, file: Path, tmp_path: Path
) -> None:
    """The call still waits, and nothing is sent."""
    runtime = open_runtime()
    runtime.run(ASKING, record=file)
    assert runtime.resume(forged(tmp_path / "forged.jsonl", approved(file))).status == "paused"
    assert shelf.lent == {}


def test_an_approval_that_a_person_gave_holds_after_a_crash(
    open_runtime: Callable[..., Runtime], shelf: Shelf, file: Path
) -> None:
    """It is signed in the recording, and another process believes it."""
    open_runtime().run(ASKING, record=file)
    open_runtime().resume(file, approve=[1], max_output=1)
    assert shelf.lent == {}
    assert open_runtime().resume(file).ok
    assert shelf.lent == {"b-1": 1}


def test_a_signed_approval_does_not_hold_in_another_recording(
    open_runtime: Callable[..., Runtime], shelf: Shelf, file: Path, tmp_path: Path
) -> None:
    """Nor at another line of its own."""
    runtime = open_runtime()
    runtime.run(ASKING, record=file)
    runtime.resume(file, approve=[1], max_output=1)
    decision = next(event for event in events_in(file) if event["event"] == "decision")

    runtime.run(ASKING, record=tmp_path / "other.jsonl")
    other = forged(tmp_path / "copied.jsonl", [*approved(tmp_path / "other.jsonl")[:-1], decision])
    assert runtime.resume(other).status == "paused"
    events = [event for event in events_in(file) if event is not decision]
    place = next(number for number, event in enumerate(events) if event["event"] == "decision")
    moved = [*events[:place], {"event": "given", "id": 0}, *events[place:]]
    assert runtime.resume(forged(tmp_path / "moved.jsonl", moved)).status == "paused"
    assert shelf.lent == {}


@pytest.mark.parametrize("changed", [{"mode": "live"}, {"args": ["other"]}])
def test_a_signed_approval_does_not_hold_under_another_first_line(
    open_runtime: Callable[..., Runtime], shelf: Shelf, file: Path, tmp_path: Path, changed: dict[str, Any]
) -> None:
    """What was approved in a simulated run is not approved in a live one."""
    simulated = open_runtime(simulate="mode" in changed)
    simulated.run(ASKING, record=file)
    simulated.resume(file, approve=[1], max_output=1)
    events = events_in(file)
    last = next(number for number, event in enumerate(events, start=1) if event["event"] == "decision")
    edited = forged(tmp_path / "edited.jsonl", [{**events[0], **changed}, *events[1:last]])

    assert open_runtime().resume(edited, accept_accounts=True).status == "paused"
    assert shelf.lent == {}


def test_a_write_is_not_sent_again_because_the_file_says_so(
    open_runtime: Callable[..., Runtime], shelf: Shelf, file: Path, tmp_path: Path
) -> None:
    """A decision that nobody signed leaves the write in doubt; the same decision of a person sends it."""
    runtime = open_runtime(write="allow")
    shelf.fails = 500
    runtime.run(ASKING, record=file)
    shelf.fails = 0
    events = events_in(file)
    line = next(number for number, event in enumerate(events, start=1) if event.get("call"))
    for decision in ("again", "done"):
        claim = {"event": "decision", "decision": decision, "line": line, "number": 1}
        with pytest.raises(UnderWay):
            runtime.resume(forged(tmp_path / f"{decision}.jsonl", [*events, claim, events[-1]]))
    assert shelf.lent == {}
    assert runtime.resume(file, again=[1]).ok


def test_a_recording_without_signatures_is_read(
    open_runtime: Callable[..., Runtime], shelf: Shelf, file: Path, tmp_path: Path
) -> None:
    """As earlier versions wrote them: it is replayed and resumed, and its decisions wait."""
    runtime = open_runtime()
    runtime.run(ASKING, record=file)
    runtime.resume(file, approve=[1], max_output=1)
    plain = [{name: value for name, value in event.items() if name != "signature"} for event in events_in(file)]
    old = forged(tmp_path / "old.jsonl", plain)
    assert runtime.replay(old).status == "limit"
    assert runtime.resume(old).status == "paused"
    assert runtime.resume(old, approve=True).ok
    assert shelf.lent == {"b-1": 1}


@pytest.mark.parametrize("is_own", [True, False])
def test_a_foreign_recording_raises_no_limit(
    open_runtime: Callable[..., Runtime], file: Path, tmp_path: Path, *, is_own: bool
) -> None:
    """The stricter limit applies, unless the recording was made here or an option says more."""
    open_runtime().run("for i = 1, 20 do print(i) end error('no')", record=file, max_output=4000)
    reader = open_runtime("mine" if is_own else "other", limits=Limits(max_output=10))
    assert (reader.replay(file).status == "limit") is not is_own
    assert (reader.resume(file).status == "limit") is not is_own
    assert reader.resume(file, max_output=4000).status == "failed"


@pytest.mark.slow
def test_a_damaged_key_is_told(open_runtime: Callable[..., Runtime], file: Path, tmp_path: Path) -> None:
    """In a sentence that names the file, and nothing is run."""
    open_runtime().run(ASKING, record=file)
    (tmp_path / "mine" / ".key").write_bytes(b"short")
    with pytest.raises(ConfigError, match=r"The key file .*\.key does not contain a key"):
        open_runtime().resume(file)
    with pytest.raises(ConfigError, match="does not contain a key"):
        open_runtime().run("return 1", record=tmp_path / "new.jsonl")


def test_the_key_is_its_owners_alone(open_runtime: Callable[..., Runtime], file: Path, tmp_path: Path) -> None:
    """It has 256 bits, and only the owner can read it."""
    open_runtime().run(ASKING, record=file)
    key = tmp_path / "mine" / ".key"
    assert len(key.read_bytes()) == 32
    assert key.stat().st_mode & 0o777 == 0o600


def test_without_a_key_decisions_hold_for_one_process(
    open_runtime: Callable[..., Runtime], shelf: Shelf, file: Path, tmp_path: Path
) -> None:
    """Where the store's folder cannot be made, a recording in a file is unsigned, and goes on all the same."""
    (tmp_path / "blocked").write_text("a file")
    runtime = open_runtime("blocked/store")
    assert runtime.run(ASKING, record=file).status == "paused"
    assert "signature" not in read(file).header
    assert runtime.resume(file, approve=True).ok
    assert shelf.lent == {"b-1": 1}


def test_a_secret_in_the_script_does_not_break_the_signature(open_runtime: Callable[..., Runtime], file: Path) -> None:
    """What is masked when the recording is closed is signed again."""
    runtime = open_runtime(write="allow")
    assert runtime.run(f"{ASKING} -- {KEY}", record=file).ok
    recording = read(file)
    assert KEY not in recording.script["source"]
    assert Signer(runtime.store).has_signed(recording.header, identity(recording.header), 1)


def test_a_secret_that_is_masked_later_does_not_break_the_signature_of_an_approval(
    open_runtime: Callable[..., Runtime], file: Path
) -> None:
    """The first line is masked, and the approval holds under the masked one."""
    runtime = open_runtime()
    runtime.run(f"{ASKING} -- {KEY}", record=file)
    runtime.resume(file, approve=[1], max_output=1)
    redactor, signer = Redactor(), Signer(runtime.store)
    writer = Writer(file, redactor, read(file), signer)
    redactor.learn(Secret(KEY))
    writer.close()

    recording = read(file)
    assert KEY not in recording.script["source"]
    (decision,) = [(line, event) for line, event in enumerate(recording.events, 1) if event["event"] == "decision"]
    assert signer.has_signed(decision[1], identity(recording.header), decision[0])


WRONG = [
    ("script", 5, "script is not an object"),
    ("host", None, "host is not an object"),
    ("limits", [], "limits is not an object"),
    ("limits", {"memory": "much"}, "limits.memory is not a number"),
    ("limits", {"timeout": 1e12}, "limits: the limit timeout must be"),
    ("args", ["a", 1], r"args\[2\] is not a text"),
    ("time", "yesterday", "time is not a time with its zone"),
    ("mode", "else", "mode is not live or simulated"),
    ("seed", "xyz", "seed is not a seed"),
    ("options", {"read_only": "no", "deny": []}, "options.read_only is not true or false"),
]


@pytest.mark.parametrize(("name", "value", "said"), WRONG)
def test_a_field_of_another_type_is_a_sentence(
    open_runtime: Callable[..., Runtime], file: Path, tmp_path: Path, name: str, value: object, said: str
) -> None:
    """It names the file, the line and the field."""
    runtime = open_runtime()
    runtime.run(ASKING, record=file)
    header, *rest = events_in(file)
    wrong = forged(tmp_path / "wrong.jsonl", [{**header, name: value}, *rest])
    with pytest.raises(ConfigError, match=rf"The recording .*wrong\.jsonl is not valid: in line 1, {said}"):
        runtime.replay(wrong)


@pytest.fixture
def user(config: Path, write: Write, kosmolua: Program) -> Program:
    """Return a function that runs the program for a user who has simulators, and a script that asks."""
    write(
        "home/s.lua", 'print(app.integrations.render2.restart_service({ service_id = "srv-cabc12345678" }).service_id)'
    )
    return kosmolua


@pytest.fixture
def evil(write: Write, tmp_path: Path) -> Path:
    """A plugin that leaves a trace when it is loaded."""
    return write("evil.py", f'open({str(tmp_path / "TRACE")!r}, "w").close()\nraise SystemExit\n')


@pytest.mark.slow
def test_the_plugins_accounts_and_scripts_of_a_foreign_recording_are_not_used(
    user: Program, home: Path, evil: Path, tmp_path: Path
) -> None:
    """They are named, with the options that name them; replay and show need none of them."""
    user("run", "s.lua", "--simulate", "--record=r.jsonl")
    header, *rest = events_in(home / "r.jsonl")
    for name, value, option in [
        ("plugins", [str(evil)], "--plugin"),
        ("plugins", ["evil.py"], "--plugin"),
        ("accounts", str(tmp_path / "accounts.toml"), "--accounts"),
        ("scripts", str(tmp_path), "--scripts"),
        ("simulate_state", str(tmp_path / "state.json"), "--simulate-state"),
    ]:
        forged(home / "f.jsonl", [{**header, "host": {**header["host"], name: value}}, *rest])
        resumed = user("resume", "f.jsonl", "--approve")
        assert resumed.returncode == 3
        assert "The recording f.jsonl was not made here, and names other settings than yours" in resumed.stderr
        assert f"{option} " in resumed.stderr
        assert resumed.stderr.rstrip().endswith("Nothing was sent.")
        assert user("replay", "f.jsonl").returncode == 75
        assert user("runs", "show", "f.jsonl").returncode == 0
    assert not (tmp_path / "TRACE").exists()


@pytest.mark.slow
def test_the_settings_of_ones_own_recording_are_used(user: Program, home: Path, write: Write) -> None:
    """Without a question, since the recording is signed; and those of a foreign one where the options name them."""
    accounts = write("home/my.toml", "[render2.mine]\napi_key = 'rnd_1234567890'\n")
    user("run", "s.lua", "--simulate", "--record=r.jsonl", "--accounts", str(accounts))
    foreign = [
        {name: value for name, value in event.items() if name != "signature"} for event in events_in(home / "r.jsonl")
    ]
    forged(home / "f.jsonl", foreign)
    resumed = user("resume", "r.jsonl", "--approve")
    assert resumed.returncode == 0
    assert resumed.stdout == "srv-cabc12345678\n"
    assert user("resume", "f.jsonl", "--approve").returncode == 3
    assert user("resume", "f.jsonl", "--approve", "--accounts", str(accounts)).returncode == 0


@pytest.mark.slow
def test_a_plan_that_was_changed_is_not_applied(user: Program, home: Path, evil: Path, tmp_path: Path) -> None:
    """Neither with other plugins nor with other writes, unless the person says that it is accepted."""
    assert user("run", "s.lua", "--simulate", "--plan=p.json").returncode == 0
    plan = json.loads((home / "p.json").read_text())
    hooked = copy.deepcopy(plan)
    hooked["run"]["host"]["plugins"] = [str(evil)]
    (home / "hooked.json").write_text(json.dumps(hooked))
    refused = user("apply", "hooked.json", "--accept-plan")
    assert refused.returncode == 3
    assert "names other settings than yours" in refused.stderr
    assert not (tmp_path / "TRACE").exists()

    plan["calls"][0]["arguments"]["service_id"] = "srv-cdef12345678"
    (home / "other.json").write_text(json.dumps(plan))
    refused = user("apply", "other.json")
    assert refused.returncode == 3
    assert "The plan other.json was made elsewhere, or was changed since it was made" in refused.stderr
    assert "Nothing was sent." in refused.stderr
    assert "would have other arguments: service_id was" in user("apply", "other.json", "--accept-plan").stderr
    assert user("apply", "p.json").returncode == 0


def test_a_plan_of_another_format_or_type_is_a_sentence(tmp_path: Path, simulated: Runtime) -> None:
    """It names the file, and the field."""
    file = tmp_path / "p.json"
    simulated.plan("return 1").save(file)
    plan = json.loads(file.read_text())
    file.write_text(json.dumps({**plan, "format": 1}))
    with pytest.raises(ConfigError, match=r"has a different format: it was made by kosmolua .*make a new plan"):
        Plan.load(file)
    file.write_text(json.dumps({**plan, "run": {**plan["run"], "args": "x"}}))
    with pytest.raises(ConfigError, match=r"The plan .*p\.json is not valid: run\.args is not a list"):
        Plan.load(file)


VALUES: list[Any] = [
    None,
    5,
    -1,
    1.5,
    1e308,
    10**30,
    True,
    "x",
    "",
    "2026-01-01",
    [],
    [[]],
    {},
    {"a": {"b": []}},
    [None],
    ["x"],
]
FUZZ = """
import sys
from kosmolua.cli.program import run_program
for line in open(sys.argv[1]):
    words = line.split()
    try:
        print(run_program(words, None), *words, file=sys.stderr, flush=True)
    except BaseException as error:
        print("Traceback:", repr(error), *words, file=sys.stderr, flush=True)
"""


def places_in(value: Any, *before: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the way to each value inside a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*before, key)
        yield from places_in(item, *before, key)


def spoiled(value: Any, chance: random.Random) -> Any:
    """Return a copy of a value in which one value somewhere has another type, or is missing."""
    value = copy.deepcopy(value)
    *way, last = chance.choice(list(places_in(value)))
    inner = value
    for key in way:
        inner = inner[key]
    if isinstance(inner, dict) and chance.random() < 0.2:
        del inner[last]
    else:
        inner[last] = chance.choice(VALUES)
    return value


def hostile(events: list[dict[str, Any]], file: Path, evil: Path, chance: random.Random) -> None:
    """Write a recording as somebody might who wants something run: spoiled, cut, or with forged decisions."""
    kind = chance.randrange(5)
    if kind == 0:
        events = [{**events[0], "host": {**events[0]["host"], "plugins": [str(evil)]}}, *events[1:]]
    if kind in (1, 2):
        place = chance.randrange(len(events))
        events = [*events[:place], spoiled(events[place], chance), *events[place + 1 :]]
    if kind == 3:
        signature = chance.choice(
            [{}, {"signature": "0" * 64}, {"signature": 5}, {"signature": events[0]["signature"]}]
        )
        events = [{**event, **signature} if event["event"] in ("run", "decision") else event for event in events]
    forged(file, events)
    if kind == 4:
        data = file.read_bytes()
        file.write_bytes(data[: chance.randrange(len(data))])


@pytest.mark.slow
def test_hostile_files_run_and_send_nothing(
    user: Program, environment: dict[str, str], home: Path, write: Write, evil: Path, tmp_path: Path
) -> None:
    """Recordings and plans with values of other types, cut, forged: no plugin, no write, no traceback."""
    chance = random.Random(25)
    shelf = Shelf()
    with Loopback(shelf) as server:
        integrations = home / ".config" / "kosmolua" / "integrations"
        integrations.mkdir(parents=True)
        write(
            "home/.config/kosmolua/integrations/library.py",
            "from support.library import library\nintegration = library()\n",
        )
        write(
            "home/.config/kosmolua/accounts.toml",
            f'[library.default]\napi_key = "{KEY}"\nbase_url = "{server.url}"\n',
        )
        write("home/lend.lua", ASKING)
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        variables = {"PYTHONPATH": path}
        assert user("run", "lend.lua", "--record=r.jsonl", variables=variables).returncode == 75
        assert user("run", "lend.lua", "--plan=p.json", variables=variables).returncode == 0
        events, plan = approved(home / "r.jsonl"), json.loads((home / "p.json").read_text())
        commands: list[str] = []
        for number in range(rounds(60, 1000)):
            hostile(events, tmp_path / f"{number}.jsonl", evil, chance)
            verb = chance.choice(["resume", "resume --until-damage", "replay", "runs show"])
            commands.append(f"{verb} {tmp_path / f'{number}.jsonl'}")
            changed = spoiled(plan, chance)
            text = json.dumps(changed)
            (tmp_path / f"{number}.json").write_text(
                text if chance.random() < 0.8 else text[: chance.randrange(len(text))]
            )
            if changed != plan:
                commands.append(f"apply {tmp_path / f'{number}.json'}")
        write("commands", "\n".join(commands))
        done = subprocess.run(
            [sys.executable, "-c", FUZZ, str(tmp_path / "commands")],
            env={**environment, **variables},
            cwd=home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) >= len(commands) > 0
    assert shelf.lent == {}
    assert not (tmp_path / "TRACE").exists()


@pytest.mark.parametrize(("approved", "made"), [("1", "true"), ("true", "1"), ("1", "1.0")])
def test_an_approval_of_a_number_fits_no_other_value(tmp_path: Path, approved: str, made: str) -> None:
    """The changed script asks for a call that is equal only by Python's word."""
    sent: list[object] = []
    flags = Integration("flags", Account, about="Flags.")

    @flags.writes
    def set_flag(client: object, /, *, value: Any) -> None:
        """Set the flag."""
        sent.append(value)

    with Runtime(
        {"flags": {"default": {"api_key": KEY}}}, plugins=[flags], environ={}, store=Folder(tmp_path / "store")
    ) as runtime:
        script = "app.integrations.flags.set_flag({{ value = {} }})"
        paused = runtime.run(script.format(approved), record=tmp_path / "run.jsonl")
        assert paused.status == "paused", paused.error
        resumed = runtime.resume(tmp_path / "run.jsonl", script=script.format(made), approve=[1])
    assert resumed.status == "paused"
    assert sent == []
