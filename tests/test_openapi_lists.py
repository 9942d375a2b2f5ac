"""Lists of documents that are cut at ``max_items``: whoever gets one can see that there are more."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from support.documents import Reply, Sent, live, serving, small

LIST = {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "integer"}}}}
PAGES = [
    {"name": "page", "in": "query", "schema": {"type": "integer"}},
    {"name": "per_page", "in": "query", "schema": {"type": "integer", "default": 2}},
]


def document(folder: Path, *, wrapped: bool = False) -> Path:
    """Return a document of one list that comes in pages: as it is, or inside a table."""
    schema = {"type": "object", "properties": {"items": LIST}} if wrapped else LIST
    good = {"200": {"description": "ok", "content": {"application/json": {"schema": schema}}}}
    listing = {"operationId": "list_pets", "parameters": PAGES, "responses": good}
    return small(folder, {"paths": {"/pets": {"get": listing}}})


def pages_of(count: int, *, wrapped: bool = False) -> Callable[[Sent], Reply]:
    """Return a service with some pets, two a page."""

    def answer(sent: Sent) -> Reply:
        page = int(parse_qs(urlsplit(sent.target).query).get("page", ["1"])[0])
        items = [{"id": number} for number in range(count)][2 * page - 2 : 2 * page]
        return Reply({"items": items} if wrapped else items)

    return answer


@pytest.mark.parametrize(("count", "shown"), [(5, "3\ttrue\t3"), (3, "3\tnil\t3"), (1, "1\tnil\t1")])
def test_a_list_says_that_it_is_truncated(tmp_path: Path, count: int, shown: str) -> None:
    """It stays a list, for pairs and for JSON; one that ends just there is whole."""
    script = """
      local pets = app.integrations.pets.list_pets({ all = true, max_items = 3 })
      local keys = 0
      for _ in pairs(pets) do keys = keys + 1 end
      print(#pets, pets.truncated, keys)
      return json.encode(pets)
    """
    with serving(pages_of(count)) as service, live(document(tmp_path), "pets", service) as runtime:
        outcome = runtime.run(script, check=True)
        assert outcome.output == f"{shown}\n"
        assert outcome.warnings == []
        assert json.loads(outcome.result[0]) == [{"id": number} for number in range(min(count, 3))]


def test_a_page_that_is_a_table_has_the_key(tmp_path: Path) -> None:
    """The same word, as a key of the result."""
    script = "return app.integrations.pets.list_pets({ all = true, max_items = 3 }).truncated"
    made = document(tmp_path, wrapped=True)
    with serving(pages_of(5, wrapped=True)) as service, live(made, "pets", service) as runtime:
        assert runtime.run(script).result == [True]


def test_python_gets_a_list_that_says_so(tmp_path: Path) -> None:
    """It equals any other list of these items."""
    with serving(pages_of(5)) as service, live(document(tmp_path), "pets", service) as runtime:
        pets = runtime.call("pets.list_pets", {"all": True, "max_items": 3})
        assert pets == [{"id": 0}, {"id": 1}, {"id": 2}]
        assert pets.truncated is True


def test_a_recording_repeats_it(tmp_path: Path) -> None:
    """A script that asks for the rest does so again when it is replayed."""
    script = "return app.integrations.pets.list_pets({ all = true, max_items = 3 }).truncated"
    with serving(pages_of(5)) as service, live(document(tmp_path), "pets", service) as runtime:
        assert runtime.run(script, record=tmp_path / "run.jsonl").result == [True]
        assert runtime.replay(tmp_path / "run.jsonl").result == [True]
        assert len(service.sent) == 2


@pytest.mark.slow
def test_the_command_warns(kosmolua: Callable[..., Any], tmp_path: Path) -> None:
    """JSON on standard output cannot say it, so standard error does."""
    with serving(pages_of(5)) as service:
        accounts = tmp_path / "accounts.toml"
        accounts.write_text(f'[pets.default]\nbase_url = "{service.url}"\n')
        done = kosmolua(
            *("call", "--accounts", accounts, "--plugin", document(tmp_path)),
            *("pets.list_pets", "all=true", "max_items=3"),
        )
    assert json.loads(done.stdout) == [{"id": 0}, {"id": 1}, {"id": 2}]
    assert "there are more than these 3 items; max_items says how many to fetch" in done.stderr
