"""Reports of checks that the command line keeps, so that a script that is run again is not checked again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Write

pytestmark = pytest.mark.slow

PLUGIN = '''
"""A shop."""
from dataclasses import dataclass
from kosmolua.plugin import Api, Integration, Send

@dataclass(frozen=True)
class Account:
    """A shop."""
    base_url: str = "http://127.0.0.1:9"
    def open(self, send: Send) -> Api:
        return Api(send, self.base_url)

integration = Integration("shop", Account, about="A shop.")

@integration.reads
def goods(api: Api, /, *, kind: str = "all") -> list[str]:
    """Return goods."""
    return [kind]
'''
ACCOUNTS = "[shop.mine]\n[shop.yours]\n[shop]\ndefault = 'mine'\n"


class Shop:
    """A script for an integration, run by the command line."""

    def __init__(self, environment: dict[str, str], write: Write, cache: Path) -> None:
        self._environment = {**environment, "XDG_CACHE_HOME": str(cache)}
        self.kept = cache / "kosmolua" / "checks"
        self.plugin, self.accounts = write("shop.py", PLUGIN), write("accounts.toml", ACCOUNTS)
        self.script = write("goods.lua", "print(app.integrations.shop.goods({ kind = 'new' })[1])")
        self.accounts.chmod(0o600)

    def run(self, *more: str) -> tuple[str, bool]:
        """Return what a run printed, errors too, and whether it imported the check."""
        options = ["--plugin", str(self.plugin), "--accounts", str(self.accounts), *more, str(self.script)]
        command = [sys.executable, "-X", "importtime", "-m", "kosmolua", "run", *options]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        lines = done.stderr.splitlines()
        said = [line for line in lines if not line.startswith("import time:")]
        return done.stdout + "\n".join(said), any(line.endswith(" kosmolua.check.checker") for line in lines)


@pytest.fixture
def shop(environment: dict[str, str], write: Write, tmp_path: Path) -> Shop:
    """A script whose report is kept."""
    shop = Shop(environment, write, tmp_path / "cache")
    assert shop.run() == ("new\n", True)
    assert shop.run() == ("new\n", False)
    return shop


def test_a_script_is_checked_again_if_its_integration_has_changed(shop: Shop) -> None:
    """A parameter that is gone is found, as nothing is known of the script any more."""
    shop.plugin.write_text(PLUGIN.replace("kind: str", "order: str").replace("[kind]", "[order]"))
    said, is_checked = shop.run()
    assert is_checked
    assert "shop.goods has no parameter 'kind' (its parameters are order)" in said


def test_a_script_is_checked_again_if_it_or_its_accounts_have_changed(shop: Shop) -> None:
    """Also if another account is the default, or there are other options."""
    shop.accounts.write_text(ACCOUNTS.replace("'mine'", "'yours'"))
    assert shop.run() == ("new\n", True)
    assert shop.run() == ("new\n", False)
    assert shop.run("--simulate")[1]
    assert shop.run("--secret", "token=env:HOME")[1]
    shop.script.write_text(shop.script.read_text().replace("new", "old"))
    assert shop.run() == ("old\n", True)


def test_the_name_of_an_integration_can_be_spelled_in_escapes(shop: Shop) -> None:
    """What the check has understood counts, not only the words of the script."""
    shop.script.write_text(r"print(app.integrations['sh\x6fp'].goods({ kind = 'new' })[1])")
    assert shop.run() == ("new\n", True)
    assert shop.run() == ("new\n", False)
    shop.plugin.write_text(PLUGIN.replace("kind: str", "order: str").replace("[kind]", "[order]"))
    said, is_checked = shop.run()
    assert is_checked
    assert "shop.goods has no parameter 'kind' (its parameters are order)" in said


def test_a_script_is_checked_again_if_a_folder_beside_its_plugin_has_changed(shop: Shop, write: Write) -> None:
    """Also if a module beside the plugin imports from it; one that is only spoken of does not matter."""
    shop.plugin.write_text("""'Not from the attic.'\nfrom .shelves import integration\n""")
    write("shelves.py", "from .stock.goods import integration\n")
    goods, other = write("stock/goods.py", PLUGIN), write("attic/goods.py", "")
    assert shop.run() == ("new\n", True)
    other.write_text("VERSION = 2\n")
    assert shop.run() == ("new\n", False)
    goods.write_text(PLUGIN.replace("[kind]", "[kind.upper()]"))
    assert shop.run() == ("NEW\n", True)


def test_a_plugin_with_a_link_to_a_folder_is_checked_each_time(shop: Shop, tmp_path: Path) -> None:
    """What is behind the link can change too."""
    shop.plugin, behind = tmp_path / "linking" / "shop", tmp_path / "behind"
    shop.plugin.mkdir(parents=True)
    behind.mkdir()
    (shop.plugin / "__init__.py").write_text("from .linked.goods import integration\n")
    (shop.plugin / "linked").symlink_to(behind)
    (behind / "goods.py").write_text(PLUGIN)
    assert shop.run() == shop.run() == ("new\n", True)


def test_a_warning_is_given_each_time(shop: Shop) -> None:
    """The report of a script in which something was found is not kept."""
    shop.script.write_text("local page = app.integrations.shop.goods() for i = 1, 2 do print(page[0]) end")
    first, again = shop.run(), shop.run()
    assert first == again
    assert "warning" in first[0] or "goods.lua:" in first[0]


def test_damaged_reports_are_made_again(shop: Shop) -> None:
    """So they are where the cache cannot be written: the script runs all the same."""
    without_fields = '{"integrations": {}, "dropped": [], "sites": [{"line": 1}]}'
    for damaged in (without_fields, '{"integrations": []}', "[" * 200_000, "[]", "{"):
        for file in shop.kept.iterdir():
            file.write_text(damaged)
        assert shop.run() == ("new\n", True)
    for file in shop.kept.iterdir():
        file.unlink()
    shop.kept.rmdir()
    shop.kept.write_text("no folder")
    assert shop.run() == shop.run() == ("new\n", True)


def test_a_report_that_cannot_be_kept_leaves_nothing(shop: Shop) -> None:
    """As on a full disk, where each run would leave the beginning of another file."""
    (kept,) = shop.kept.iterdir()
    kept.unlink()
    (kept / "in the way").mkdir(parents=True)
    assert shop.run() == ("new\n", True)
    assert [*shop.kept.iterdir()] == [kept]
