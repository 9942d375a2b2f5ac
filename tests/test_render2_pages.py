"""What render2 shows people: each Lua example of its page, of the seed file and of the example scripts runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support.loopback import Loopback, by_bearer
from support.render2_account import Simulator, integration

from kosmolua import Runtime

ROOT = Path(__file__).parent.parent
PAGE = Path(integration.origin).parent / "render2.md"
SEED = ROOT.parent / "shared" / "seed" / "render2-lua-reference.txt"
SCRIPTS = sorted((ROOT / "scripts").glob("*.lua"))
ACCOUNTS = ("default", "production", "staging")


def blocks(text: str) -> list[str]:
    return re.findall(r"```lua\n(.*?)```", text, re.DOTALL)


def simulated(source: str, *args: str) -> Any:
    with Runtime(simulate=True, yes=True, allow=["*"], environ={}) as runtime:
        return runtime.run(source, args=args)


def title(block: str) -> str:
    names = re.findall(r"render2?\.(?:\w+\.)?(\w+)\(", block)
    return names[0] if names else "block"


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks(PAGE.read_text()), ids=title)
def test_each_example_of_the_page_runs(block: str) -> None:
    """Every block is a script of its own that ends well against the simulator."""
    outcome = simulated(block)

    assert outcome.error is None
    assert all(call["status"] == "ok" for call in outcome.calls) or "pcall" in block
    assert outcome.output or "print" not in block


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["web_service", "cron_job", "private_service"])
def test_the_example_of_a_deploy_is_right_for_other_services_too(kind: str) -> None:
    """A cron job's deploy may be live at once, and a private service's has no id at first: it is found all the same."""
    (block,) = (block for block in blocks(PAGE.read_text()) if "clear_cache = true" in block)
    find = f'return app.integrations.render2.list_services({{ type = "{kind}", limit = 1 }}).services[1].id'
    outcome = simulated(block.replace("srv-cabc12345678", simulated(find).result[0]))

    assert outcome.error is None
    assert outcome.output.endswith("ended as live\n")


@pytest.mark.parametrize("named", ["clear_cache = true", "rake db:migrate"])
def test_no_example_takes_what_is_under_way_for_an_end(named: str) -> None:
    """A build takes minutes: an example that has waited long enough ends with `timeout`."""
    (block,) = (block for block in blocks(PAGE.read_text()) if named in block)
    outcome = simulated(block.replace('timeout = "10m"', "timeout = 0"))

    assert outcome.error is not None
    assert outcome.error.code == "timeout"
    assert outcome.output == ""


def test_every_function_has_an_example_that_calls_it() -> None:
    """The page has a section for each function, and in it a block with a call of that function."""
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE))

    lacking = [
        name
        for name in integration.functions
        if not any(f"{name}(" in block for block in blocks(sections.get(name, "")))
    ]
    assert lacking == []


def test_no_section_is_about_a_function_that_is_gone() -> None:
    """Each section in snake case is named like a function."""
    names = re.findall(r"^## (\w+)$", PAGE.read_text(), re.MULTILINE)

    assert set(names) == set(integration.functions)


@pytest.fixture
def seed_examples() -> list[str]:
    """The Lua blocks of the seed file, and its example of a full name."""
    if not SEED.exists():
        pytest.skip("the seed file is not at ../shared/seed")
    text = SEED.read_text()
    extra = re.search(r"Metadata-Derived Lua Example\n\n(.*?)\n\nFunctions", text, re.DOTALL)
    assert extra
    return [*blocks(text), extra[1]]


@pytest.mark.slow
def test_the_seeds_examples_run_verbatim_over_a_real_socket(seed_examples: list[str], tmp_path: Path) -> None:
    """Each block ends well against a server that knows one key for each account, and each key was on the wire."""
    keys = {f"rnd_{name}_key": Simulator(name) for name in ACCOUNTS}
    with Loopback(by_bearer(keys)) as server:
        accounts = tmp_path / "accounts.toml"
        lines = [f'[render2.{name}]\napi_key = "rnd_{name}_key"\nbase_url = "{server.url}/v1"\n' for name in ACCOUNTS]
        accounts.write_text("\n".join(lines))
        with Runtime(accounts, yes=True, allow=["*"], environ={}) as runtime:
            outcomes = [runtime.run(block) for block in seed_examples]

    assert [outcome.error for outcome in outcomes] == [None] * 9
    sent = {str(request.headers.get("Authorization")) for request in server.requests}
    assert sent == {f"Bearer {key}" for key in keys}


@pytest.mark.slow
@pytest.mark.parametrize("name", ACCOUNTS)
def test_the_ids_of_the_seeds_examples_exist_in_every_account(seed_examples: list[str], name: str) -> None:
    """A block that is pointed at a named account ends as well there."""
    single = [block for block in seed_examples if "render2.default." not in block]

    outcomes = [simulated(block.replace("render2.", f"render2.{name}.", 1)) for block in single]

    assert [outcome.error for outcome in outcomes] == [None] * 8
    assert {call["account"] for outcome in outcomes for call in outcome.calls} == {name}


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_each_example_script_runs_and_says_how(script: Path) -> None:
    """A script ends well against the simulator and prints something, and its header says how to run it."""
    source = script.read_text()
    outcome = simulated(source)

    assert outcome.error is None
    assert outcome.output.strip()
    header = source.partition("\n\n")[0]
    assert all(line.startswith("--") for line in header.splitlines())
    assert f"kosmolua run scripts/{script.name}" in header


def test_a_script_that_creates_can_be_run_again() -> None:
    """create_and_wait finds the service of its first run and creates no second one."""
    source = (ROOT / "scripts" / "create_and_wait.lua").read_text()
    with Runtime(simulate=True, yes=True, allow=["*"], environ={}) as runtime:
        first, second = runtime.run(source), runtime.run(source)

    assert [call["path"] for call in first.calls].count("render2.create_service") == 1
    assert "render2.create_service" not in [call["path"] for call in second.calls]
    assert second.output.splitlines()[-1] == first.output.splitlines()[-1]


def test_a_deploy_that_fails_fails_the_script() -> None:
    """create_and_wait ends with an error that says how the deploy ended."""
    source = (ROOT / "scripts" / "create_and_wait.lua").read_text()
    outcome = simulated(source.replace("npm ci && npm run build", "exit 1"))

    assert "ended as build_failed" in str(outcome.error)


def test_two_accounts_are_read_side_by_side() -> None:
    """The script for two accounts calls both and nothing else."""
    outcome = simulated((ROOT / "scripts" / "two_accounts.lua").read_text())

    assert {call["account"] for call in outcome.calls} == {"production", "staging"}
    assert "alike" in outcome.output
