"""The examples that agents know render2 by, through the program itself: each exits 0 over a real socket."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, Program, Write
from support.loopback import Loopback, by_bearer
from support.render2_account import Simulator

SEED = ROOT.parent / "shared" / "seed" / "render2-lua-reference.txt"
ACCOUNTS = ("default", "production", "staging")
FULL_NAME = """\
local result = app.integrations.render2.render_list_services({
  limit = 1,
  cursor = "example_cursor"
})
print(result)"""


def examples() -> list[str]:
    """Return the Lua blocks of the seed file, and its example of a full name, or nothing where it is not here."""
    if not SEED.exists():
        return []
    text = SEED.read_text(encoding="utf-8")
    assert FULL_NAME in text
    return [*re.findall(r"```lua\n(.*?)```", text, re.DOTALL), FULL_NAME]


@pytest.fixture(scope="module")
def service() -> Iterator[Loopback]:
    """A Render on a loopback port that knows one key for each account."""
    with Loopback(by_bearer({f"rnd_SECRET_{name}": Simulator(name) for name in ACCOUNTS})) as service:
        yield service


@pytest.fixture
def accounts(service: Loopback, write: Write) -> Path:
    """An accounts file with the three accounts."""
    stanza = '[render2.{name}]\napi_key = "rnd_SECRET_{name}"\nbase_url = "{url}/v1"\n'
    return write("accounts.toml", "\n".join(stanza.format(name=name, url=service.url) for name in ACCOUNTS))


@pytest.mark.slow
@pytest.mark.parametrize("example", examples() or [None], ids=lambda text: re.sub(r"\W+", "-", text or "absent")[:60])
def test_an_example_runs_verbatim(kosmolua: Program, accounts: Path, service: Loopback, example: str | None) -> None:
    """It exits 0, prints what it says it prints, and sends each account's own key and no other."""
    if example is None:
        pytest.skip("the seed file is not at ../shared/seed")
    before = len(service.requests)
    done = kosmolua("run", "-", "--accounts", accounts, "--yes", input=example)
    assert done.returncode == 0
    assert done.stderr == ""
    assert bool(done.stdout) == ("print(" in example)
    keys = {str(request.headers["Authorization"]) for request in service.requests[before:]}
    named = {name for name in ACCOUNTS[1:] if f".{name}." in example} | {"default"}
    assert keys == {f"Bearer rnd_SECRET_{name}" for name in named}
