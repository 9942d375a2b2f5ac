"""Undo: the plan of the calls that take back what a recorded run wrote."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest
from conftest import Program, Write
from support.documents import small
from support.loopback import Loopback
from support.yard import Yard, yard

from kosmolua import Runtime
from kosmolua.calls.approvals import Approval
from kosmolua.calls.inverses import inverse_of
from kosmolua.catalog.plugins import Plugins
from kosmolua.errors import ConfigError, Stale
from kosmolua.plugin import ApiError, Integration, Secret
from kosmolua.recordings.outlines import kind_of
from kosmolua.recordings.plans import Plan
from kosmolua.recordings.sealing import Sealer
from kosmolua.stores.folder_store import Folder

pytestmark = pytest.mark.slow

MAKE_ALL = "for _, call in ipairs(input) do app.integrations[call[1]][call[2]](call[3]) end"
API, SITE, WORKER, IMAGE = (
    "srv-cabc12345678",
    "srv-rubozckp54kmgdxzzjqq",
    "srv-6rugkdzmgabiuqbrdzlt",
    "srv-qe7g3oh7vjt2azy53a55",
)
SCALED, ASLEEP = "srv-vpkmro5xpcyaq3rvfiuw", "srv-ki7rwlaldtfaxvx4bt5u"
GROUP, DATABASE, CACHE = "evg-cabc12345678", "dpg-cabc12345678", "red-cabc12345678"
REPO = {"repo": "lovelace/dotfiles"}
README = "f0e180d8064038bb747096a920c618aa2ca56455"


OF_SERVICE = ("id", "cursor", "createdAt", "updatedAt", "updated_at", "closed_at")
"""What a service gives to what is new or changed: nobody can put it back."""


class Row(NamedTuple):
    """A write, and the read whose answer shows its effect."""

    integration: str
    write: str
    arguments: dict[str, Any]
    read: str
    asked: dict[str, Any]


def _render(write: str, read: str, where: dict[str, Any], asked: dict[str, Any] | None = None, **more: Any) -> Row:
    return Row("render2", write, {**where, **more}, read, where if asked is None else asked)


def _github(write: str, read: str, where: dict[str, Any], asked: dict[str, Any], **more: Any) -> Row:
    return Row("github", write, {**where, **more}, read, asked)


_API, _SITE, _SCALED, _GROUP = (
    {"service_id": API},
    {"service_id": SITE},
    {"service_id": SCALED},
    {"env_group_id": GROUP},
)
_OTHER_SITE = {"service_id": "srv-sdoear2aoyxnze3recbj"}
UNDONE = [
    _render("set_env_var", "list_env_vars", _API, key="LOG_LEVEL", value="loud"),
    _render("set_env_var", "list_env_vars", _API, key="BRAND_NEW", value="1"),
    _render("set_env_var", "list_env_vars", _API, key="LOG_LEVEL", value="louder"),
    _render("delete_env_var", "list_env_vars", _API, key="DATABASE_URL"),
    _render("replace_all_env_vars", "list_env_vars", {"service_id": WORKER}, env_vars={"ONLY": "this"}),
    _render("set_secret_file", "list_secret_files", _API, name=".env.local", content="CHANGED=1"),
    _render("set_secret_file", "list_secret_files", _API, name="new.txt", content="new"),
    _render("delete_secret_file", "list_secret_files", _SITE, name=".env.local"),
    _render("replace_all_secret_files", "list_secret_files", {"service_id": WORKER}, secret_files={"a.txt": "a"}),
    _render("suspend_service", "get_service", _API),
    _render("suspend_service", "get_service", {"service_id": ASLEEP}),
    _render("resume_service", "get_service", {"service_id": ASLEEP}),
    _render("scale_service", "get_service", {"service_id": WORKER}, num_instances=7),
    _render("set_autoscaling", "get_service", _SCALED, min=2, max=9, criteria={"memory": {"percentage": 50}}),
    _render("set_autoscaling", "get_service", _API, min=1, max=2, criteria={"cpu": {"percentage": 50}}),
    _render("delete_autoscaling", "get_service", _SCALED),
    _render("update_service", "get_service", _API, plan="pro", branch="dev", start_command="serve", auto_deploy=False),
    _render("update_service", "get_service", _SITE, name="renamed", build_command="make"),
    _render("create_custom_domain", "list_custom_domains", _SITE, name="shop.example.net"),
    _render("create_env_group", "list_env_groups", {}, {"name": "fresh"}, name="fresh"),
    _render("update_env_group", "get_env_group", _GROUP, name="renamed"),
    _render("set_env_group_var", "get_env_group", _GROUP, key="LOG_LEVEL", value="loud"),
    _render("set_env_group_var", "get_env_group", _GROUP, key="BRAND_NEW", value="1"),
    _render("set_env_group_file", "get_env_group", _GROUP, name="new.txt", content="new"),
    _render("link_env_group", "get_env_group", _GROUP, _GROUP, service_id=WORKER),
    _render("link_env_group", "get_env_group", _GROUP, _GROUP, service_id=API),
    _render("unlink_env_group", "get_env_group", _GROUP, _GROUP, service_id=API),
    _render("add_header", "list_headers", _SITE, path="/a", name="X-A", value="1"),
    _render("replace_all_headers", "list_headers", _OTHER_SITE, headers=[{"path": "/", "name": "X-B", "value": "2"}]),
    _render("add_route", "list_routes", _SITE, type="rewrite", source="/a", destination="/b", priority=0),
    _render(
        "replace_all_routes",
        "list_routes",
        _OTHER_SITE,
        routes=[{"type": "redirect", "source": "/x", "destination": "/"}],
    ),
    _render(
        "create_service",
        "list_services",
        {},
        {"name": "fresh"},
        type="static_site",
        name="fresh",
        repo="https://github.com/a/b",
    ),
    _render("update_key_value", "get_key_value", {"key_value_id": CACHE}, name="renamed"),
    _render("suspend_postgres", "get_postgres", {"postgres_id": DATABASE}),
    _github("close_issue", "get_issue", REPO, {**REPO, "number": 4}, number=4, reason="not_planned"),
    _github("close_issue", "get_issue", REPO, {**REPO, "number": 3}, number=3, reason="not_planned"),
    _github("reopen_issue", "get_issue", REPO, {**REPO, "number": 3}, number=3),
    _github("add_labels", "get_issue", REPO, {**REPO, "number": 1}, number=1, labels=["help wanted", "bug"]),
    _github("remove_label", "get_issue", REPO, {**REPO, "number": 3}, number=3, label="bug"),
    _github(
        "put_file",
        "get_file",
        REPO,
        {**REPO, "path": "README.md"},
        path="README.md",
        content="x",
        message="m",
        sha=README,
    ),
]
LOST = [
    _render("delete_service", "list_services", {"service_id": IMAGE}, {"name": "billing-api"}),
    _render("restart_service", "get_service", _API),
    _render("trigger_deploy", "list_deploys", {"service_id": WORKER}),
    _render("delete_env_group", "list_env_groups", {"env_group_id": "evg-ltp5piqa4qoivd6l7tfg"}, {}),
    _github("create_issue", "list_issues", REPO, REPO, title="A wish"),
]


class There(NamedTuple):
    """The recording, the plan of the undo, and what each row's read answered: at first, after the run, at the end."""

    recording: str
    plan: Plan
    first: list[Any]
    written: list[Any]
    undone: list[Any]


def _seen(runtime: Runtime, row: Row) -> Any:
    """Return what a row's read answers, without the ids and times that a service gives to what is new."""
    return _plain(runtime.call(f"{row.integration}.{row.read}", row.asked))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items() if key not in OF_SERVICE}
    return [_plain(each) for each in value] if isinstance(value, list) else "" if value == "reopened" else value


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[There]:
    """Make all writes of the tables in one recorded run, and undo them."""
    rows = [*UNDONE, *LOST]
    with Runtime(simulate=True, yes=True, allow="*", store=Folder(str(tmp_path_factory.mktemp("store")))) as runtime:
        first = [_seen(runtime, row) for row in rows]
        calls = [[row.integration, row.write, row.arguments] for row in rows]
        outcome = runtime.run(MAKE_ALL, input=calls, record=True)
        assert outcome.ok, outcome.error
        written = [_seen(runtime, row) for row in rows]
        plan = runtime.undo(str(outcome.recording))
        assert plan.outcome.ok, plan.outcome.error
        applied = runtime.apply(plan)
        assert applied.ok, applied.error
        yield There(
            Path(str(outcome.recording)).read_text(), plan, first, written, [_seen(runtime, row) for row in rows]
        )


@pytest.mark.parametrize("place", range(len(UNDONE)), ids=[f"{row.write}-{n}" for n, row in enumerate(UNDONE)])
def test_a_write_that_can_be_undone_leaves_no_trace(there: There, place: int) -> None:
    """After the undo, the service says what it said before the run."""
    assert there.undone[place] == there.first[place]


def test_the_rows_change_something(there: There) -> None:
    """The table tests no write that does nothing."""
    assert [row.write for place, row in enumerate(UNDONE) if there.written[place] == there.first[place]] == []


@pytest.mark.parametrize("row", LOST, ids=[row.write for row in LOST])
def test_what_is_lost_is_named_before(there: There, row: Row) -> None:
    """The plan of the undo names each write that it cannot undo, with the reason."""
    named = [said for said in there.plan.lost if f" {row.integration}.{row.write} " in said]
    assert len(named) == 1
    assert "cannot be undone: " in named[0]


def test_an_undo_destroys_only_what_was_created(there: There) -> None:
    """What is new is deleted again, as planned calls that destroy; nothing else is."""
    dropped = {call.path.partition(".")[2] for call in there.plan.calls if call.effect == "destroy"}
    deleted = {"env_var", "secret_file", "custom_domain", "env_group", "env_group_var", "env_group_file"}
    deleted |= {"service", "header", "route", "autoscaling"}
    replaced = {f"replace_all_{name}" for name in ("env_vars", "secret_files", "headers", "routes")}
    assert dropped == {f"delete_{name}" for name in deleted} | replaced | {"unlink_env_group", "remove_label"}


def test_old_secrets_are_in_no_file(there: There) -> None:
    """Neither the recording nor the plan shows a value that a write replaced, and the plan says which it puts back."""
    for text in (there.recording, json.dumps(there.plan.to_json())):
        assert "postgres://app:" not in text
        assert "SERVICE_NAME=checkout" not in text
    (call,) = (each for each in there.plan.calls if each.arguments.get("key") == "DATABASE_URL")
    assert call.arguments["value"].startswith("*** (replaced value ")


def test_every_curated_write_says_how_it_is_undone() -> None:
    """Each curated function of Render and GitHub that writes has an inverse, or a sentence about what is lost."""
    with Runtime(simulate=True) as runtime:
        own = [
            each for name in ("render2", "github") for each in runtime.catalog.integration(name).functions.own.values()
        ]
    assert [each.full_name for each in own if each.effect != "read" and each.undo is None] == []


def _recorded(runtime: Runtime, script: str) -> str:
    outcome = runtime.run(script, record=True)
    assert outcome.ok, outcome.error
    return str(outcome.recording)


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    """Return a simulated runtime with a store of its own, which allows all but what destroys."""
    with Runtime(simulate=True, yes=True, store=Folder(str(tmp_path))) as runtime:
        yield runtime


SET_TWO = f"""
app.integrations.render2.set_env_var({{ service_id = "{API}", key = "LOG_LEVEL", value = "loud" }})
app.integrations.render2.scale_service({{ service_id = "{API}", num_instances = 4 }})
"""


def test_an_undo_can_be_of_some_calls(runtime: Runtime) -> None:
    """With numbers, the plan has the inverses of these calls, and shows what they replace."""
    plan = runtime.undo(_recorded(runtime, SET_TWO), [2])
    assert [(call.path, call.arguments["num_instances"]) for call in plan.calls] == [("render2.scale_service", 1)]
    assert plan.calls[0].before == {"num_instances": 4}
    assert plan.calls[0].undoable


def test_without_the_library_old_secrets_are_lost(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording then has no sealed values, which a plan and the undo say; what is no secret is put back."""
    monkeypatch.setitem(sys.modules, "cryptography.fernet", None)
    lost = "its inverse needs a secret that was not kept (kosmolua[undo] keeps such secrets, sealed)"
    assert [call.lost for call in runtime.plan(SET_TWO).calls] == [lost, ""]
    plan = runtime.undo(_recorded(runtime, SET_TWO))
    assert plan.lost == [f"call 1, render2.set_env_var with default, cannot be undone: {lost}"]
    assert [call.path for call in plan.calls] == ["render2.scale_service"]


def test_a_sealed_secret_opens_for_its_account_alone(tmp_path: Path) -> None:
    """A sealed text that is passed with another account, or with another key, stays a text."""
    sealer, other = Sealer(Folder(str(tmp_path / "a"))), Sealer(Folder(str(tmp_path / "b")))
    sealed = sealer.seal({"value": Secret("hunter2")}, "render2.main")
    assert sealer.open(sealed, "render2.main")["value"].reveal() == "hunter2"
    assert sealer.open(sealed, "render2.staging") == sealed
    assert other.open(sealed, "render2.main") == sealed


def test_an_undo_can_be_undone(runtime: Runtime) -> None:
    """The application of an undo is a run like any other: undone, it is as if the undo had not been made."""
    plan = runtime.undo(_recorded(runtime, SET_TWO))
    again = runtime.undo(str(runtime.apply(plan, record=True).recording))
    assert runtime.apply(again).ok
    found = runtime.call("render2.get_env_var", {"service_id": API, "key": "LOG_LEVEL"})
    assert found["env_var"]["value"] == "loud"


def test_a_call_that_wrote_nothing_is_not_undone(runtime: Runtime) -> None:
    """A number of no write is told, with the way to see the numbers."""
    with pytest.raises(ConfigError, match=r"Call 3 of the run .* wrote nothing, .*runs show"):
        runtime.undo(_recorded(runtime, SET_TWO), [3])


def test_what_has_no_instances_says_so(runtime: Runtime) -> None:
    """A cron job is not scaled, and no question about it has an error in place of a reason."""
    scale = runtime.catalog.resolve("render2.scale_service").function
    before = {"service": {"serviceDetails": {}}}
    said = inverse_of(scale, {"service_id": API}, before, None)
    assert said == "this service has no number of instances"


def test_a_write_that_a_service_refused_needs_no_undo(runtime: Runtime) -> None:
    """It changed nothing, unlike one without an answer; what was written before it is undone."""
    refused = 'app.integrations.render2.scale_service({ service_id = "srv-none12345678", num_instances = 4 })'
    outcome = runtime.run(SET_TWO + refused, record=True)
    assert outcome.status == "failed"
    plan = runtime.undo(str(outcome.recording))
    assert plan.lost == []
    assert len(plan.writes) == 2
    with pytest.raises(ConfigError, match=r"Call 3 of the run .* wrote nothing"):
        runtime.undo(str(outcome.recording), [3])


def test_what_is_gone_is_named_in_an_undo(runtime: Runtime) -> None:
    """The plan of the undo says that the service of a write does not exist any more."""
    recording = _recorded(runtime, SET_TWO)
    destroy = f'app.integrations.render2.delete_service("{API}")'
    assert runtime.run(destroy, allow=["render2.delete_service"]).ok
    lost = [call.lost for call in runtime.undo(recording).calls]
    assert "what it replaces does not exist" in lost


def test_a_simulated_run_is_not_undone_live(runtime: Runtime) -> None:
    """A live runtime does not touch a service because of what a simulator did."""
    recording = _recorded(runtime, SET_TWO)
    with Runtime({}) as live, pytest.raises(ConfigError, match="was simulated, so it cannot be undone by a live one"):
        live.undo(recording)


def test_a_run_is_undone_in_its_accounts(tmp_path: Path) -> None:
    """An account that leads elsewhere now is not used, unless a person agrees."""
    recording, plugins = str(tmp_path / "run.jsonl"), Plugins([yard()], places=(), entry_points=dict)
    source = 'app.integrations.yard.set_item({ id = "i-1", note = "new" })'
    with Loopback(Yard()) as first, Loopback(Yard()) as second:
        with Runtime({"yard": {"default": {"url": first.url}}}, plugins=plugins, environ={}, yes=True) as runtime:
            assert runtime.run(source, record=recording).ok
        with Runtime({"yard": {"default": {"url": second.url}}}, plugins=plugins, environ={}) as moved:
            with pytest.raises(ConfigError, match=r"used other accounts: yard\.default led to .*Nothing was sent\."):
                moved.undo(recording)
            assert moved.undo(recording, accept_accounts=True).outcome.ok


@dataclass
class Shelf:
    """An account without settings: a book by each name, and the calls that were made."""

    books: ClassVar[dict[str, str]] = {}
    made: ClassVar[list[str]] = []

    def open(self, send: Any) -> Shelf:
        """Return the shelf."""
        return self


def _shelf() -> Integration:
    integration = Integration("shelf", Shelf, about="A shelf.")
    Shelf.books.clear()
    Shelf.made.clear()

    @integration.reads
    def get_book(shelf: Shelf, /, *, name: str) -> dict[str, str]:
        """Get a book."""
        shelf.made.append("get_book")
        if name not in shelf.books:
            raise ApiError("no such book", status=404)
        return {"title": shelf.books[name]}

    @integration.writes(
        before=lambda args: ("get_book", {"name": args["name"]}),
        undo=lambda args, before, _: (
            [("put_book", args | {"title": before["title"]})] if before else "a book cannot be taken away"
        ),
    )
    def put_book(shelf: Shelf, /, *, name: str, title: str) -> None:
        """Put a book."""
        shelf.made.append("put_book")
        shelf.books[name] = title

    def is_burnt(shelf: Shelf, /, *, name: str) -> bool | None:
        shelf.made.append("is_burnt")
        return name not in shelf.books or None

    @integration.destroys(was_done=is_burnt, undo="a burnt book is gone")
    def burn(shelf: Shelf, /, *, name: str) -> None:
        """Burn a book."""
        del shelf.books[name]

    @integration.writes(before=lambda args: args["nothing"], undo=lambda args, before, _: args["nothing"])
    def turn(shelf: Shelf, /, *, name: str) -> None:
        """Turn a book."""

    @integration.simulator
    def simulate(account: str) -> Any:
        """Return a simulator that is never asked."""
        return lambda request: request

    return integration


PUT = 'app.integrations.shelf.put_book({ name = "a", title = "Emma" })'


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Runtime]:
    """Return a runtime with a shelf."""
    with Runtime(simulate=True, yes=True, store=Folder(str(tmp_path)), plugins=[_shelf()]) as runtime:
        yield runtime


def test_the_read_before_is_made_only_where_it_is_kept(shelf: Runtime) -> None:
    """A run that is not recorded makes no request more than the script asks for; a recorded one reads first."""
    assert shelf.run(PUT).ok
    assert Shelf.made == ["put_book"]
    assert shelf.run(PUT, record=True).ok
    assert Shelf.made == ["put_book", "get_book", "put_book"]


def test_what_did_not_exist_is_none(shelf: Runtime) -> None:
    """Where the read before answers with 404, undo gets None, and here says what is lost."""
    plan = shelf.undo(_recorded(shelf, PUT))
    assert plan.lost == ["call 1, shelf.put_book with default, cannot be undone: a book cannot be taken away"]
    assert plan.calls == []


def test_an_undo_that_fails_does_no_harm(shelf: Runtime) -> None:
    """A mistake in a declaration stops no write; the undo says what is wrong."""
    plan = shelf.undo(_recorded(shelf, 'app.integrations.shelf.turn({ name = "a" })'))
    assert plan.lost == ["call 1, shelf.turn with default, cannot be undone: what it replaced was not recorded"]


def test_a_person_sees_what_a_call_replaces(tmp_path: Path) -> None:
    """An approval has the old values, and says whether the call can be undone."""
    asked: list[Approval] = []
    Shelf.books["a"] = "Persuasion"
    with Runtime(simulate=True, plugins=[_shelf()], approve=lambda approval: asked.append(approval) or True) as runtime:
        Shelf.books["a"] = "Persuasion"
        assert runtime.run(PUT, record=tmp_path / "a.jsonl").ok
        assert runtime.run(PUT.replace('"a"', '"b"'), record=tmp_path / "b.jsonl").ok
        assert runtime.run(PUT).ok
    assert [(each.before, each.undoable, each.lost) for each in asked] == [
        ({"title": "Persuasion"}, True, ""),
        ({"title": None}, False, "a book cannot be taken away"),
        ({"name": "a", "title": "Emma"}, False, ""),  # it changes nothing, and the run is not recorded
    ]


def test_a_plan_shows_what_a_call_replaces(shelf: Runtime) -> None:
    """A planned call has the old values, and says whether the call can be undone; nothing is written."""
    Shelf.books["a"] = "Persuasion"
    (call,) = shelf.plan(PUT).calls
    assert call.before == {"title": "Persuasion"}
    assert call.undoable is True
    assert call.lost == ""
    assert Shelf.books == {"a": "Persuasion"}


def test_a_write_without_a_change_counts_for_none(shelf: Runtime) -> None:
    """A plan says that nothing changes, and a plan that is applied again says what is there now."""
    Shelf.books["a"] = "Persuasion"
    plan = shelf.plan(PUT)
    assert shelf.apply(plan).ok
    assert [line.text for line in shelf.plan(PUT).outline()][1:] == [
        '    1  name = "a", title = "Emma", no change',
        "Plan: 0 to create, 0 to change, 0 to destroy.",
    ]
    assert "changes nothing" in shelf.plan(PUT).markdown()
    stale = shelf.apply(plan, again=True).error
    assert isinstance(stale, Stale)
    assert stale.differences[0].endswith('would replace other values: title was "Persuasion" and is "Emma"')


def test_an_undo_overwrites_no_later_change(shelf: Runtime) -> None:
    """It is refused if another value is there than the run wrote, and once it is undone, unless a person agrees."""
    Shelf.books["a"] = "Persuasion"
    recording = _recorded(shelf, PUT + PUT.replace("Emma", "Sanditon"))
    Shelf.books["a"] = "Lady Susan"
    with pytest.raises(
        Stale, match=r"What the run .* wrote has changed since .*accept-changes.*Nothing was sent\."
    ) as found:
        shelf.undo(recording)
    assert found.value.differences == [
        'call 2, shelf.put_book with default, wrote title = "Sanditon", and "Lady Susan" is there now'
    ]
    asked: list[str] = []
    assert shelf.apply(shelf.undo(recording, accept_changes=lambda said: not asked.append(said))).ok
    assert asked[0].endswith(found.value.differences[0])
    assert Shelf.books["a"] == "Persuasion"
    with pytest.raises(ConfigError, match=r"The run .* was undone already: .*Nothing was sent\."):
        shelf.undo(recording, [1])
    assert [call.before for call in shelf.undo(recording, [1], accept_changes=True).calls] == [
        {"name": "a", "title": "Persuasion"}
    ]


UNDONE_BY_ANOTHER = {
    "a new variable": f'render2.set_env_var({{ service_id = "{API}", key = "BRAND_NEW", value = "1" }})',
    "a deleted autoscaling": f'render2.delete_autoscaling({{ service_id = "{SCALED}" }})',
    "a suspended service": f'render2.suspend_service({{ service_id = "{API}" }})',
    "a resumed service": f'render2.resume_service({{ service_id = "{ASLEEP}" }})',
    "a linked group": f'render2.link_env_group({{ env_group_id = "{GROUP}", service_id = "{WORKER}" }})',
    "a new autoscaling": f'render2.set_autoscaling({{ service_id = "{API}", min = 1, max = 2, '
    "criteria = { cpu = { percentage = 50 } } })",
    "a closed issue": 'github.close_issue({ repo = "lovelace/dotfiles", number = 4 })',
    "a new label": 'github.add_labels({ repo = "lovelace/dotfiles", number = 1, labels = { "bug" } })',
    "a new file": 'github.put_file({ repo = "lovelace/dotfiles", path = "new.txt", content = "x", message = "m" })',
    "a new group": 'render2.create_env_group({ name = "fresh" })',
    "a deleted header": f'render2.delete_header({{ service_id = "{SITE}", header_id = "hdr-67zbljmjyeqgj6kmw6o2" }})',
    "a deleted route": f'render2.delete_route({{ service_id = "{SITE}", route_id = "rdr-plxpqojhwjffs3uu2k36" }})',
    "a new service": 'render2.create_service({ type = "static_site", name = "new", repo = "https://github.com/a/b" })',
}


@pytest.mark.parametrize("call", UNDONE_BY_ANOTHER.values(), ids=UNDONE_BY_ANOTHER)
def test_what_another_function_undid_is_not_undone_again(call: str, tmp_path: Path) -> None:
    """A second undo is refused, whichever function the first one called, unless it is wanted all the same."""
    with Runtime(simulate=True, yes=True, allow="*", store=Folder(str(tmp_path))) as runtime:
        recording = _recorded(runtime, f"app.integrations.{call}")
        plan = runtime.undo(recording)
        assert plan.changes
        assert runtime.apply(plan).ok
        with pytest.raises(ConfigError, match=r"The run .* was undone already: .*Nothing was sent\."):
            runtime.undo(recording)
        assert len(runtime.undo(recording, accept_changes=True).writes) == len(plan.writes)


def test_a_secret_is_not_undone_twice(runtime: Runtime) -> None:
    """Nobody can see whether it is there again; but a plan that takes the call back was applied, or was not."""
    set_both = "\n".join(
        f'app.integrations.render2.set_env_var({{ service_id = "{API}", key = "{key}", value = "hunter22-{key}" }})'
        for key in ("DATABASE_URL", "LOG_TOKEN")
    )
    run = _recorded(runtime, set_both)
    assert runtime.apply(runtime.undo(run, [1])).ok
    with pytest.raises(ConfigError, match=r"was undone already: .* a plan has put it back .*Nothing was sent\."):
        runtime.undo(run, [1])
    rest = runtime.undo(run)
    assert len(rest.writes) == 2, "the other call is not undone"
    assert runtime.apply(rest).ok
    with pytest.raises(ConfigError, match="was undone already"):
        runtime.undo(run)
    assert len(runtime.undo(run, accept_changes=True).writes) == 2


def test_a_plan_is_stale_once_another_has_done_its_work(runtime: Runtime) -> None:
    """A plan of a suspension is not applied to a service that is suspended meanwhile, and says so."""
    plan = runtime.plan(f'app.integrations.render2.suspend_service({{ service_id = "{API}" }})')
    assert runtime.call("render2.suspend_service", {"service_id": API})
    stale = runtime.apply(plan).error
    assert isinstance(stale, Stale)
    assert stale.differences == ["call 1, render2.suspend_service with default, would change nothing"]


def test_a_write_that_an_earlier_one_makes_necessary_is_a_change(runtime: Runtime) -> None:
    """In a plan, a resumption after a suspension is one, although the service is not suspended now."""
    both = f"""
    app.integrations.render2.suspend_service({{ service_id = "{API}" }})
    app.integrations.render2.resume_service({{ service_id = "{API}" }})
    app.integrations.render2.resume_service({{ service_id = "{WORKER}" }})
    """
    assert [kind_of(call) for call in runtime.plan(both).calls] == ["change", "change", "same"]


def test_a_write_that_takes_back_an_earlier_one_is_a_change(shelf: Runtime) -> None:
    """Both are about the same book, though not with the same title; one about another book changes nothing."""
    Shelf.books |= {"a": "Emma", "b": "Persuasion"}
    titles = ("a", "Sanditon"), ("a", "Emma"), ("b", "Persuasion")
    calls = [f'app.integrations.shelf.put_book({{ name = "{name}", title = "{title}" }})' for name, title in titles]
    assert [kind_of(call) for call in shelf.plan("\n".join(calls)).calls] == ["change", "change", "same"]


def test_a_denied_read_is_not_made(tmp_path: Path) -> None:
    """Where reads are denied, the write is made, and nobody knows what it replaced."""
    accounts = {"shelf": {"default": {"permissions": {"read": "deny", "write": "allow"}}}}
    with Runtime(accounts, simulate=True, plugins=[_shelf()], store=Folder(str(tmp_path))) as runtime:
        plan = runtime.undo(_recorded(runtime, PUT))
    assert Shelf.made == ["put_book"]
    assert plan.lost == ["call 1, shelf.put_book with default, cannot be undone: what it replaced was not recorded"]


@pytest.mark.parametrize(("reads", "kind", "made"), [("allow", "same", ["is_burnt"]), ("deny", "destroy", [])])
def test_a_plan_asks_whether_a_write_was_done_where_reads_are_allowed(reads: str, kind: str, made: list[str]) -> None:
    """That is a read too, though of no function that a script can call."""
    accounts = {"shelf": {"default": {"permissions": {"read": reads, "destroy": "allow"}}}}
    with Runtime(accounts, simulate=True, plugins=[_shelf()]) as runtime:
        plan = runtime.plan('app.integrations.shelf.burn({ name = "a" })')
    assert [kind_of(call) for call in plan.calls] == [kind]
    assert Shelf.made == made


def _garden() -> dict[str, Any]:
    """Return a document of plants, each of which can be got, replaced and changed."""
    slot = [{"name": "plantId", "in": "path", "required": True, "schema": {"type": "string"}}]
    fields = {
        "name": {"type": "string"},
        "heightCm": {"type": "integer"},
        "code": {"type": "string", "writeOnly": True},
    }
    plant = {"type": "object", "properties": fields}
    content = {"content": {"application/json": {"schema": plant}}}
    answer = {"responses": {"200": {"description": "ok", **content}}}
    update = {"requestBody": {"required": True, **content}, **answer}
    return {
        "paths": {
            "/plants/{plantId}": {
                "parameters": slot,
                "get": {"operationId": "getPlant", **answer},
                "put": {"operationId": "replacePlant", **update},
                "patch": {"operationId": "updatePlant", **update},
            },
            "/plants/{plantId}/place": {"parameters": slot, "put": {"operationId": "placePlant", **update}},
        }
    }


@pytest.fixture
def garden(tmp_path: Path) -> Iterator[Runtime]:
    """Return a runtime with an integration of a document."""
    document = small(tmp_path, _garden(), "garden")
    with Runtime(simulate=True, yes=True, store=Folder(str(tmp_path)), plugins=[document]) as runtime:
        yield runtime


@pytest.mark.parametrize(
    ("write", "given"),
    [("update_plant", {"height_cm": 7}), ("replace_plant", {"name": "Fern"}), ("update_plant", {"name": "Fern"})],
)
def test_an_update_of_a_document_is_undone_by_itself(garden: Runtime, write: str, given: dict[str, Any]) -> None:
    """What the GET of the same path answered before is put back."""
    ids = {"plant_id": "p-1"}
    first = garden.call("garden.get_plant", ids)
    outcome = garden.run(MAKE_ALL, input=[["garden", write, ids | given]], record=True)
    assert outcome.ok, outcome.error
    assert garden.call("garden.get_plant", ids) != first
    plan = garden.undo(str(outcome.recording))
    assert [call.path for call in plan.calls] == [f"garden.{write}"]
    assert garden.apply(plan).ok
    assert garden.call("garden.get_plant", ids) == first


@pytest.mark.parametrize(
    ("write", "given", "reason"),
    [
        ("update_plant", {"code": "x"}, "the read before does not say what code was"),
        ("update_plant", {"extra": {"body": {"name": "y"}}}, "what the body changes is not known field by field"),
        ("place_plant", {"name": "y"}, "this function does not say how it is undone"),
    ],
)
def test_what_a_document_does_not_tell_is_lost(garden: Runtime, write: str, given: dict[str, Any], reason: str) -> None:
    """The plan says of an update why it cannot be undone."""
    outcome = garden.run(MAKE_ALL, input=[["garden", write, {"plant_id": "p-1"} | given]], record=True)
    assert outcome.ok, outcome.error
    plan = garden.undo(str(outcome.recording))
    assert plan.lost == [f"call 1, garden.{write} with default, cannot be undone: {reason}"]


@pytest.mark.parametrize(
    ("name", "arguments", "before", "inverse"),
    [
        ("git_create_ref", {"ref": "refs/heads/dev", "sha": "1"}, None, [("git_delete_ref", {"ref": "heads/dev"})]),
        (
            "git_delete_ref",
            {"ref": "heads/dev"},
            {"object": {"sha": "1"}},
            [("git_create_ref", {"ref": "refs/heads/dev", "sha": "1"})],
        ),
        (
            "git_update_ref",
            {"ref": "heads/dev", "sha": "2"},
            {"object": {"sha": "1"}},
            [("git_update_ref", {"ref": "heads/dev", "sha": "1", "force": True})],
        ),
        (
            "issues_add_assignees",
            {"issue_number": 2, "assignees": ["ada", "Bob"]},
            {"assignees": ["bob"]},
            [
                ("issues_remove_assignees", {"issue_number": 2, "assignees": ["ada"]}),
                ("issues_add_assignees", {"issue_number": 2, "assignees": ["bob"]}),
            ],
        ),
        ("issues_create_label", {"name": "bug"}, None, [("issues_delete_label", {"name": "bug"})]),
    ],
)
def test_operations_of_github_have_inverses(
    name: str, arguments: dict[str, Any], before: Any, inverse: list[tuple[str, dict[str, Any]]]
) -> None:
    """Branches, assignees and labels, which are functions of GitHub's document, are put back."""
    there = {"owner": "ada", "repo": "engine"}
    with Runtime(simulate=True) as runtime:
        function = runtime.catalog.integration("github").function(name)
    assert function is not None
    found = inverse_of(function, there | arguments, before, None)
    assert [(step[0], dict(step[1])) for step in found] == [(step[0], there | step[1]) for step in inverse]


def test_the_command_line_undoes_a_run(kosmolua: Program, write: Write, tmp_path: Path) -> None:
    """The plan and what is lost are shown; nothing is sent without a yes, nor for a foreign recording with one."""
    script = write("release.lua", SET_TWO + f'app.integrations.render2.restart_service("{API}")')
    simulated = "--simulate=render.json"
    assert kosmolua("run", script, simulated, "--yes", "--record=r.jsonl").returncode == 0
    planned = kosmolua("undo", "r.jsonl")
    assert planned.returncode == 0
    assert "num_instances = 4 -> 1" in planned.stderr
    assert "Plan: 0 to create, 2 to change, 0 to destroy." in planned.stderr
    assert "call 3, render2.restart_service with default, cannot be undone: it changes no setting" in planned.stderr
    assert "nothing was sent; kosmolua apply p-" in planned.stderr
    elsewhere = kosmolua("undo", "r.jsonl", "2", "--yes", simulated, variables={"XDG_STATE_HOME": str(tmp_path / "x")})
    assert "nothing was sent; kosmolua apply p-" in elsewhere.stderr
    assert kosmolua("undo", "r.jsonl", "2", "--yes").returncode == 0
    found = json.loads(kosmolua("call", "render2.get_service", f"service_id={API}", simulated).stdout)
    assert found["service"]["serviceDetails"]["numInstances"] == 1


def test_a_yes_that_does_not_suffice_is_told(kosmolua: Program, write: Write) -> None:
    """What was created is only deleted by a person's answer."""
    script = write("create.lua", 'app.integrations.render2.create_env_group({ name = "fresh" })')
    simulated = "--simulate=render.json"
    assert kosmolua("run", script, simulated, "--yes", "--record=r.jsonl").returncode == 0
    done = kosmolua("undo", "r.jsonl", "--yes")
    assert "nothing was sent, since --yes allows no call that destroys; kosmolua apply p-" in done.stderr
