"""accounts.toml: which accounts there are, what they may do, and what is refused in the file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Barrier, Thread
from time import monotonic
from typing import Annotated, Any, Literal

import pytest
from support.processes import eventually
from support.rawserver import answer, serving
from support.steps import steps

from kosmolua import ConfigError, Limits, NotConfigured, Runtime
from kosmolua.accounts.accounts import Accounts, read
from kosmolua.accounts.toml import stanza
from kosmolua.catalog.catalog import Catalog
from kosmolua.catalog.plugins import Plugins
from kosmolua.folders import accounts_file
from kosmolua.plugin import Api, Integration, Request, Secret, Send, between
from kosmolua.secret import Redactor

KEY = "rnd_SECRET_of_the_accounts_test"


@dataclass(frozen=True)
class Account:
    """A key."""

    api_key: Annotated[Secret, "From the settings."]
    owner_id: Annotated[str | None, "The workspace."] = None
    pages: Annotated[int, "How many."] = 5
    strict: bool = False


Account.open = lambda self, send: send  # type: ignore[attr-defined]
lib = Integration("lib", Account, about="Books.", prefix="book")


@lib.reads
def list_books(api: Any, /) -> dict:
    """List books."""
    return {}


def show_page(send: Any, /) -> dict:
    """Show a page."""
    return dict(json.loads(send(Request("GET", "http://service.invalid/page")).body))


@dataclass(frozen=True)
class ShopAccount:
    """A shop of one's own."""

    base_url: str
    region: Literal["eu", "us"]
    port: Annotated[int, between(1024, 65535)]
    strict: bool
    tags: list[str]

    def open(self, send: Send) -> Api:
        return Api(send, self.base_url)


shop = Integration("shop", ShopAccount, about="Sells.")
SHOP_VARIABLES = {
    "SHOP_BASE_URL": "https://a.example",
    "SHOP_REGION": "us",
    "SHOP_PORT": "8080",
    "SHOP_STRICT": "true",
    "SHOP_TAGS": '["new"]',
}


Make = Callable[..., Accounts]


def python(code: str) -> str:
    """Return, as TOML, a command that runs some code."""
    return json.dumps([sys.executable, "-c", code])


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that makes accounts of the text of a file."""

    def make(text: str, environ: Mapping[str, str] | None = None, **options: Any) -> Accounts:
        path = tmp_path / "accounts.toml"
        path.write_text(text, encoding="utf-8")
        options.setdefault("redactor", Redactor())
        return read(path, usual=path, environ=environ or {}, **options)

    return make


# Which accounts there are


@pytest.mark.parametrize(
    ("text", "names", "default"),
    [
        ("", [], None),
        ("[lib.work]", ["work"], "work"),
        ("[lib.work]\n[lib.home]", ["home", "work"], None),
        ("[lib.work]\n[lib.default]", ["default", "work"], "default"),
        ("[lib]\ndefault = 'work'\n[lib.work]\n[lib.home]", ["home", "work"], "work"),
        ("[lib]\ndefault = 'work'\n[lib.permissions]\nwrite = 'deny'\n[lib.work]", ["work"], "work"),
        ("[lib.'work of ann']", ["work of ann"], "work of ann"),
        ("[other.work]", [], None),
    ],
)
def test_the_default_account(make: Make, text: str, names: list[str], default: str | None) -> None:
    """One account is the default whatever its name; of several, the named one or the one called default."""
    accounts = make(text)
    assert accounts.names(lib) == names
    assert accounts.default(lib) == default


def test_no_file_and_a_variable(make: Make) -> None:
    """Without a file an integration whose variables are set has its default account from them."""
    accounts = make("", {"BOOK_API_KEY": KEY})
    assert accounts.names(lib) == ["default"]
    assert accounts.default(lib) == "default"
    assert accounts.settings(lib, "default")["api_key"].reveal() == KEY


def test_simulated_accounts_need_no_credentials(make: Make) -> None:
    """Under --simulate there are three accounts, or those of the file, and no secret is fetched."""
    assert make("", simulate=True).names(lib) == ["default", "production", "staging"]
    accounts = make("[lib.work]\napi_key = { file = '/nowhere' }", simulate=True)
    assert accounts.names(lib) == ["work"]
    assert accounts.settings(lib, "work")["api_key"].reveal() == "made-up-api_key"
    assert make("[lib.work]", simulate=True).settings(lib, "work")["api_key"].reveal() == "made-up-api_key"


def test_simulated_accounts_have_what_they_need(make: Make) -> None:
    """What the file does not say of a required key is made up by its type; what it says goes first."""
    assert make("", simulate=True).settings(shop, "staging") == {
        "base_url": "https://shop.example",
        "region": "eu",
        "port": 1024,
        "strict": False,
        "tags": [],
    }
    assert make("[shop.work]\nport = 8080", simulate=True).settings(shop, "work")["port"] == 8080


def test_the_integrations_of_a_file(make: Make) -> None:
    """The limits are no integration."""
    assert make("[lib.a]\n[other.b]\n[kosmolua.limits]").sections.names() == ["lib", "other"]


# What an account may do


@pytest.mark.parametrize(
    ("text", "read_permission", "write_permission"),
    [
        ("", "allow", "ask"),
        ("permissions = { write = 'allow' }", "allow", "allow"),
        ("permissions = { read = 'ask' }", "ask", "ask"),
        ("permissions = { read = 'deny', write = 'deny' }", "deny", "deny"),
    ],
)
def test_permissions_of_an_account(make: Make, text: str, read_permission: str, write_permission: str) -> None:
    """Reading is allowed and writing asks, unless the account says otherwise."""
    accounts = make(f"[lib.work]\n{text}")
    assert accounts.permission(lib, "work", "read") == read_permission
    assert accounts.permission(lib, "work", "write") == write_permission


def test_an_account_has_the_last_word(make: Make) -> None:
    """What the account says goes before what its integration says, key by key."""
    accounts = make(
        "[lib]\npermissions = { read = 'ask', write = 'deny' }\n"
        "[lib.work]\npermissions = { write = 'allow' }\n[lib.home]"
    )
    assert [accounts.permission(lib, "work", effect) for effect in ("read", "write")] == ["ask", "allow"]
    assert [accounts.permission(lib, "home", effect) for effect in ("read", "write")] == ["ask", "deny"]


# What the fields become


def test_settings_are_the_fields_of_the_account(make: Make) -> None:
    """Each key has the type that the account class declares, the credential is a secret that the redactor learns."""
    redactor = Redactor()
    text = f"[lib.work]\napi_key = '{KEY}'\npages = 7\nstrict = true\nowner_id = 'tea-1'"
    settings = make(text, redactor=redactor).settings(lib, "work")
    assert {name: value for name, value in settings.items() if name != "api_key"} == {
        "pages": 7,
        "strict": True,
        "owner_id": "tea-1",
    }
    assert str(settings["api_key"]) == "***"
    assert settings["api_key"].reveal() == KEY
    assert redactor.text(KEY) == "***"


def test_what_is_not_said_is_left_to_the_account_class(make: Make) -> None:
    """Defaults stand in one place only."""
    assert list(make(f"[lib.work]\napi_key = '{KEY}'").settings(lib, "work")) == ["api_key"]


def test_an_empty_account_takes_its_key_from_the_environment(make: Make) -> None:
    """An account that says nothing may get its secrets from their usual variables; one that says something not."""
    environ = {"BOOK_API_KEY": KEY, "BOOK_OWNER_ID": "tea-9"}
    assert list(make("[lib.work]", environ).settings(lib, "work")) == ["api_key"]
    with pytest.raises(NotConfigured, match="has no api_key"):
        make("[lib.work]\npages = 3", environ).settings(lib, "work")


def test_the_environment_gives_values_of_the_declared_type(make: Make) -> None:
    """A variable is read as an argument of ``kosmolua call`` is."""
    assert make("", SHOP_VARIABLES).settings(shop, "default") == {
        "base_url": "https://a.example",
        "region": "us",
        "port": 8080,
        "strict": True,
        "tags": ["new"],
    }


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("SHOP_PORT", "many", 'SHOP_PORT must be an integer in 1024..65535, not "many" (a string)'),
        ("SHOP_STRICT", "yes", 'SHOP_STRICT must be a boolean, not "yes" (a string)'),
        ("SHOP_TAGS", "[1]", "SHOP_TAGS[1] must be a string, not 1"),
    ],
)
def test_a_variable_of_the_wrong_type_is_named(make: Make, variable: str, value: str, message: str) -> None:
    """Not a file that has no part in it."""
    with pytest.raises(ConfigError) as refused:
        make("", SHOP_VARIABLES | {variable: value}).settings(shop, "default")
    assert refused.value.message == f"The environment variable {message}"


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        ("proxy.example:3128", 'proxy must be a URL such as "http://proxy.example:3128", not "proxy.example:3128"'),
        ("ftp://ann:hunter22@proxy.example", "not a URL that holds a password"),
        ("http://ann:hunter22@proxy.example", "holds a password, which does not belong in this file"),
    ],
)
def test_a_proxy_is_a_url_without_a_password(make: Make, proxy: str, message: str) -> None:
    """Another value is refused, and a password in it is not shown."""
    accounts = make(f"[lib.work]\napi_key = '{KEY}'\nproxy = '{proxy}'")
    with pytest.raises(ConfigError) as refused:
        accounts.settings(lib, "work")
    assert message in refused.value.message
    assert "hunter22" not in str(refused.value)


def test_requests_of_an_account_go_through_its_proxy() -> None:
    """The proxy of the account alone, not that of another one."""
    site = Integration("site", Account, about="Pages.")
    site.reads(show_page)
    with serving(answer(200, {"from": "proxy"})) as proxy:
        work = {"api_key": KEY, "proxy": proxy.url}
        with Runtime({"site": {"work": work}}, plugins=Plugins([site], places=(), entry_points=dict)) as runtime:
            assert runtime.call("site.show_page") == {"from": "proxy"}
    assert proxy.heard[0].startswith(b"GET http://service.invalid/page HTTP/1.1")


def test_a_secret_of_the_environment_that_is_empty_is_named(make: Make) -> None:
    """By its variable too."""
    with pytest.raises(NotConfigured, match="The secret BOOK_API_KEY is empty"):
        make("", {"BOOK_API_KEY": " "}).settings(lib, "default")


def test_a_missing_field_gives_the_stanza_to_add(make: Make) -> None:
    """The refusal names the account and the file, and shows what to paste."""
    accounts = make("[lib.work]\npages = 3")
    with pytest.raises(NotConfigured) as refused:
        accounts.settings(lib, "work")
    said = "The account lib.work has no api_key; add it to the accounts file. Nothing was sent."
    assert refused.value.message == said
    assert refused.value.hint == stanza(lib, "work")


@pytest.mark.slow
def test_a_secret_is_fetched_once(make: Make, tmp_path: Path) -> None:
    """Threads that want the same account at the same time do not ask for its secret twice."""
    counter = tmp_path / "count"
    script = f"import time; open({str(counter)!r}, 'a').write('x'); time.sleep(0.1); print('rnd_1234567')"
    accounts = make(f"[lib.work]\napi_key = {{ command = [{sys.executable!r}, '-c', \"{script}\"] }}")
    barrier, keys = Barrier(4), []

    def want() -> None:
        barrier.wait()
        keys.append(accounts.settings(lib, "work")["api_key"].reveal())

    threads = [Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert keys == ["rnd_1234567"] * 4
    assert counter.read_text() == "x"


@pytest.fixture
def slow(make: Make, tmp_path: Path) -> Iterator[Accounts]:
    """Accounts whose secret is being fetched, by ``work`` until the test is over, or is there, for ``home``."""
    started, over = tmp_path / "started", tmp_path / "over"
    wait = f"while not os.path.exists({str(over)!r}): time.sleep(0.01)"
    command = python(f"import os, time\nopen({str(started)!r}, 'a')\n{wait}\nprint('rnd_1234567')")
    accounts = make(f"[lib.work]\napi_key = {{ command = {command} }}\n[lib.home]\napi_key = '{KEY}'")
    thread = Thread(target=accounts.settings, args=(lib, "work"))
    thread.start()
    assert eventually(started.exists)
    yield accounts
    over.touch()
    thread.join()


def test_a_secret_that_takes_long_holds_up_no_other_account(slow: Accounts) -> None:
    """Nor a call of another run, for which the accounts are the same."""
    answers: SimpleQueue[Any] = SimpleQueue()
    Thread(target=lambda: answers.put(slow.settings(lib, "home")), daemon=True).start()
    assert answers.get(timeout=60)["api_key"].reveal() == KEY


@pytest.mark.slow
def test_who_waits_for_the_secret_of_another_call_waits_no_longer_than_it_may(slow: Accounts) -> None:
    """A call with little time left does not wait for one with more."""
    with pytest.raises(NotConfigured, match=r"Another call was still fetching the secrets of lib\.work when the"):
        slow.settings(lib, "work", until=monotonic() + 0.1)


@pytest.mark.slow
def test_a_command_has_no_longer_than_the_call(make: Make) -> None:
    """It is ended then; a later call that has more time tries again."""
    accounts = make(f"[lib.work]\napi_key = {{ command = {python('import time; time.sleep(600)')} }}")
    for seconds in (0.2, 0.3):
        with pytest.raises(NotConfigured, match=r"the secret lib\.work\.api_key failed: it did not end within 0\."):
            accounts.settings(lib, "work", until=monotonic() + seconds)


# What is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[lib.work]\nkey = 'x'", "unknown key 'key' in [lib.work] (did you mean 'api_key'?)"),
        (
            "[lib.work]\nzzz = 'x'",
            "unknown key 'zzz' in [lib.work] "
            "(its keys are api_key, owner_id, pages, strict, permissions, budgets, proxy, on_behalf)",
        ),
        (
            "[lib.work]\npermission = { write = 'deny' }",
            "unknown key 'permission' in [lib.work] (did you mean 'permissions'?)",
        ),
        ("[lib]\npermisions = { write = 'deny' }", "unknown key 'write' in [lib.permisions]"),
        ("[lib]\ndefalt = 'work'", "unknown key 'defalt' in [lib] (did you mean 'default'?)"),
        ("[lib]\nzzz = 3", "unknown key 'zzz' in [lib] (an account is a table, such as [lib.production])"),
        ("[lib]\ndefault = 3", '[lib] default must be a string, such as "production"'),
        ("[lib]\npermissions = 'deny'", '[lib] permissions must be a table, such as { write = "ask" }'),
        ("[lib.work]\npermissions = 'deny'", '[lib.work] permissions must be a table, such as { write = "ask" }'),
        (
            "[lib.work]\npermissions = { wriet = 'deny' }",
            "unknown key 'wriet' in [lib.work] permissions (did you mean 'write'?)",
        ),
        ("[lib.work]\npermissions = { 'x_*' = 'deny' }", "[lib.work] permissions: 'x_*' matches no function of lib"),
        ("[lib]\npermissions = { 'x_*' = 'deny' }\n[lib.work]", "[lib] permissions: 'x_*' matches no function of lib"),
        ("[lib.work]\npermissions = { '*' = 'maybe' }", "[lib.work] permissions: "),
        (
            "[lib.work]\npermissions = { destory = 'deny' }",
            "unknown key 'destory' in [lib.work] permissions (did you mean 'destroy'?)",
        ),
        (
            "[lib.work]\npermissions = { write = 'never' }",
            '[lib.work] permissions: write must be "allow", "ask" or "deny", not "never" (a string)',
        ),
        ("[lib.work]\npermissions = { write = ['deny'] }", '"allow", "ask" or "deny", not a list'),
        (
            "[[lib.default]]",
            "[[lib.default]] is a list, but an account is a single table (write [lib.default], with single",
        ),
        ("[lib]\ndefault = []", '[lib] default must be a string, such as "production"'),
        ("[lib.list_books]", "[lib.list_books]: an account cannot be named like a function"),
        ("[lib.book_list_books]", "[lib.book_list_books]: an account cannot be named like a function"),
        ("[lib.'a.b']", "an account's name cannot contain a dot or be empty"),
        ("[lib.'']", "an account's name cannot contain a dot or be empty"),
        ("[lib]\ndefault = 'werk'\n[lib.work]", "[lib] default = 'werk' names no account (did you mean 'work'?)"),
    ],
)
def test_a_typo_is_an_error_before_any_account_is_used(make: Make, text: str, message: str) -> None:
    """An unknown key or value anywhere in an integration's section stops every use of it: it could widen access."""
    accounts = make(text + "\n[lib.innocent]\n")
    with pytest.raises(ConfigError) as refused:
        accounts.default(lib)
    assert message in refused.value.message
    assert refused.value.message.startswith(f"{accounts.path}:")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pages = '7'", 'pages must be an integer, not "7" (a string)'),
        ("strict = 1", "strict must be a boolean, not 1"),
        ("owner_id = ['a']", "owner_id must be a string, not a list"),
        ("api_key = 5", 'api_key must be a string or one secret source, such as { env = "NAME" }'),
        ("api_key = { envv = 'X' }", "api_key must be a string or one secret source, such as"),
        ("api_key = { command = 'echo hi' }", "api_key.command must be a list of strings, such as"),
    ],
)
@pytest.mark.parametrize("simulate", [False, True])
def test_a_value_of_the_wrong_type(make: Make, text: str, message: str, simulate: bool) -> None:
    """It is refused where an unknown key is: before any account of the integration is used, simulated ones too."""
    accounts = make(f"[lib.work]\n{text}\n[lib.innocent]\n", simulate=simulate)
    with pytest.raises(ConfigError) as refused:
        accounts.names(lib)
    assert refused.value.message.startswith(f"{accounts.path}:2: [lib.work] {message}")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# accounts\n\n[lib.work]\npages = 3\nkey = 'x'", 5),
        ("[lib.home]\npages = 3\n[lib.work]\npages = 'x'", 4),
        ("[lib]\ndefault = 'home'\nwork = { pages = 'x' }\n[lib.home]", 3),
        ("[lib.work]\n[lib.work.permissions]\nread = 'allow'\nwrite = 'never'", 4),
        ("[lib.work]\npages = 3\npermissions = { write = 'never' }", 3),
        ("[ lib . 'at work' ]\nstrict = false\n'pages' = 'x'", 3),
        ("lib.work.pages = 3\nlib.work.strict = 3", 2),
        ("[lib.work]\napi_key = { env = 'A', file = 'b' }", 2),
        ("\n[lib]\ndefault = 'werk'\n[lib.work]", 3),
    ],
)
def test_the_line_of_what_is_wrong(make: Make, text: str, line: int) -> None:
    """It is that of the key, else of the innermost table around it that has a line of its own."""
    accounts = make(text)
    with pytest.raises(ConfigError) as refused:
        accounts.check(lib)
    place = f"{accounts.path}:{line}: "
    assert refused.value.message.startswith((f"{place}[lib", f"{place}unknown key 'key' in [lib.work]"))


def test_a_secret_that_cannot_be_had_has_its_line(make: Make) -> None:
    """The user is told where it stands, in words that no script sees."""
    accounts = make("[lib.work]\npages = 3\napi_key = { env = 'NOT_SET' }\n[lib.home]\napi_key = ' '")
    for account, detail in (("work", ":3: NOT_SET"), ("home", ":5")):
        with pytest.raises(NotConfigured) as refused:
            accounts.settings(lib, account)
        assert refused.value.detail == f"{accounts.path}{detail}"
        assert "accounts.toml" not in refused.value.message


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
@pytest.mark.parametrize(
    ("mode", "api_key", "simulate", "warned"),
    [
        (0o640, f"'{KEY}'", False, True),
        (0o604, f"'{KEY}'", False, True),
        (0o600, f"'{KEY}'", False, False),
        (0o644, "{ env = 'X' }", False, False),
        (0o644, f"'{KEY}'", True, False),
    ],
)
def test_a_file_with_a_secret_in_it_that_others_can_read(
    make: Make, mode: int, api_key: str, simulate: bool, warned: bool
) -> None:
    """It works, and the user is told what to run, once, when somebody first asks about the accounts."""
    warnings: list[str] = []
    text = f"[lib.work]\napi_key = {api_key}\n[lib.home]\napi_key = {api_key}"
    accounts = make(text, warn=warnings.append, simulate=simulate)
    accounts.path.chmod(mode)
    assert accounts.names(lib) == ["home", "work"]
    assert accounts.default(lib) is None
    sentence = f"The secret file {accounts.path} can be read by others; run: chmod 600 {accounts.path}"
    assert warnings == [sentence] * warned


def test_accounts_that_come_from_no_file_have_no_lines() -> None:
    """What an embedder gives is named by what it is."""
    accounts = read({"lib": {"work": {"pages": "x"}}}, usual="the accounts passed", environ={}, redactor=Redactor())
    with pytest.raises(ConfigError, match=r"^the accounts passed: \[lib\.work\] pages must be"):
        accounts.check(lib)


def test_a_file_of_another_system(make: Make) -> None:
    """A byte order mark, which editors on Windows write first, is no part of the text."""
    accounts = make("\ufeff[lib.work]\r\npages = 3\r\n")
    assert accounts.names(lib) == ["work"]
    with pytest.raises(ConfigError) as refused:
        make("\ufeff[lib.list_books]\r\n").names(lib)
    assert refused.value.message.startswith(f"{accounts.path}:1: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lib = 3", "lib must be a table, such as [lib.production]"),
        ("kosmolua = 3", "kosmolua must be a table"),
        ("[kosmolua]\nlimit = 3", "unknown key 'limit' in [kosmolua] (did you mean 'limits'?)"),
        ("[kosmolua]\nlimits = 3", "[kosmolua] limits must be a table, such as [kosmolua.limits], not 3"),
        (
            "[kosmolua]\nzzz = 3",
            "unknown key 'zzz' in [kosmolua] "
            "(its keys are limits, options, secrets, journal, recordings, flow, budgets, approvals, "
            "journal_required, env_vars)",
        ),
        ("[kosmolua]\njournal_required = 'yes'", '[kosmolua] journal_required must be true or false, not "yes"'),
        ("[lib\n", "this is not TOML: "),
        ("[lib.a]\nx = 1\n\ny = =", "(at line 4, column 5)"),
        ("[lib.a]\n[lib.a]", "accounts.toml:2: this is not TOML: "),
        (f"[{'a.' * 3000}a]", "this is not TOML: TOML key has more than"),
        (f"a = {'1' * 5000}", "this is not TOML: Exceeds the limit"),
    ],
)
def test_a_file_of_the_wrong_shape(make: Make, text: str, message: str) -> None:
    """What is wrong with the file as a whole is said at once, with the file and the line where there is one."""
    with pytest.raises(ConfigError) as refused:
        make(text)
    assert message in refused.value.message
    assert "accounts.toml" in refused.value.message


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that was named has to be there, and be text."""
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    for name, reason in (("missing.toml", "No such file"), ("bytes.toml", "not UTF-8"), (".", "directory")):
        path = tmp_path / name
        with pytest.raises(ConfigError, match=reason):
            read(path, usual=path, environ={}, redactor=Redactor())


TWO_DEFAULTS = "[lib] uses the word default twice: for a key and for the account [lib.default] (remove the key"


@pytest.mark.parametrize(
    "text",
    [
        "[lib]\ndefault = 'default'\n[lib.default]\npages = 3",
        "[lib]\ndefault = 'work'\n\n[lib.default]",
        "[lib.default]\npages = 3\n[lib]\ndefault = 'default'",
    ],
)
def test_the_word_default_for_a_key_and_an_account(make: Make, text: str) -> None:
    """TOML cannot hold both, and the refusal says so in words of accounts."""
    with pytest.raises(ConfigError) as refused:
        make(text)
    assert TWO_DEFAULTS in refused.value.message
    assert "accounts.toml:" in refused.value.message


@pytest.mark.parametrize(
    "text",
    [
        "[lib]\ndefault = 'rnd_SECRETSECRET'\n[lib.work]",
        "[lib]\nrnd_SECRETSECRET = ''\n[lib.work]",
        "[lib.work]\nrnd_SECRETSECRET = ''",
    ],
)
def test_a_key_in_place_of_a_name_is_not_shown(make: Make, text: str) -> None:
    """The refusal has the line, and no credential that stands there."""
    with pytest.raises(ConfigError, match=r"accounts\.toml:2: .*looks like a secret") as refused:
        make(text).default(lib)
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "[lib]\npermissions = { write = 'rnd_SECRETSECRET' }\n[lib.work]",
        "[lib]\npermissions = { rnd_SECRETSECRET = 'ask' }\n[lib.work]",
        f"[lib]\n[lib.work]\nproxy = 'rnd_SECRETSECRET{'x1' * 60}'",
        "[kosmolua.flow]\nmode = 'rnd_SECRETSECRET'",
        "[kosmolua.limits]\ntimeout = 'rnd_SECRETSECRET'",
        "[kosmolua.budgets]\ncalls = { max = 1, per = 'rnd_SECRET\"SECRET' }",
    ],
)
def test_a_key_in_place_of_a_word_is_not_shown(make: Make, text: str) -> None:
    """A refusal says what a key of the file can be, and does not repeat a credential that stands there."""

    def use() -> None:
        accounts = make(text)
        accounts.default(lib)
        accounts.sections.limits(Limits())

    with pytest.raises(ConfigError) as refused:
        use()
    assert "***" in str(refused.value)
    assert "SECRET" not in str(refused.value)
    assert "x1x1" not in str(refused.value)


# Many accounts


@pytest.fixture
def many() -> Accounts:
    """Ten thousand accounts, the last with permissions of its own."""
    tables: dict[str, Any] = {f"a{number:05}": {"api_key": KEY} for number in range(10_000)}
    tables["a09999"]["permissions"] = {"write": "allow"}
    return read({"lib": tables}, usual="accounts.toml", environ={}, redactor=Redactor())


def test_one_of_ten_thousand_accounts(many: Accounts) -> None:
    """It is found as one of ten is."""
    assert many.has(lib, "a09999")
    assert not many.has(lib, "a10000")
    assert many.default(lib) is None
    assert [many.permission(lib, f"a{number:05}", "write") for number in (0, 9999)] == ["ask", "allow"]
    assert many.settings(lib, "a00007")["api_key"].reveal() == KEY


def test_ten_thousand_accounts_cost_a_call_no_more_than_ten(many: Accounts) -> None:
    """After the first question none looks at all accounts: what is asked for each call makes the same steps."""
    few = read(
        {"lib": {"a09999": {"api_key": KEY, "permissions": {"write": "allow"}}}},
        usual="accounts.toml",
        environ={},
        redactor=Redactor(),
    )

    def ask(accounts: Accounts) -> None:
        accounts.names(lib)
        accounts.has(lib, "a09999")
        accounts.permission(lib, "a09999", "write")
        accounts.settings(lib, "a09999")

    for each in (many, few):
        ask(each)
    assert abs(steps(partial(ask, many)) - steps(partial(ask, few))) < 5


def test_many_accounts_are_cut_in_a_message(many: Accounts) -> None:
    """A call that names none of them lists a few, and says how many more there are."""
    with pytest.raises(NotConfigured) as refused:
        Catalog([Plugins([lib])], many).resolve("lib.list_books")
    assert "a00000, a00001" in refused.value.message
    assert "a00007 and 9,992 more" in refused.value.message
    assert len(refused.value.message) < 300


# The journal and limits


@pytest.mark.parametrize(("text", "required"), [("", False), ("journal_required = true", True)])
def test_whether_the_journal_is_required(make: Make, text: str, required: bool) -> None:
    """The file can demand that no write goes unrecorded; without a word it does not."""
    assert make(f"[kosmolua]\n{text}").sections.journal_required is required


def test_limits_of_the_file(make: Make) -> None:
    """Numbers, and durations and sizes as strings with their unit."""
    text = "[kosmolua.limits]\ntimeout = 1.5\ncall_timeout = '1m'\nmax_calls = 7\nmemory = '20MiB'\nmax_output = 4096"
    limits = make(text).sections.limits(Limits(cpu=3))
    assert limits == Limits(timeout=1.5, call_timeout=60, cpu=3, max_calls=7, memory=20 * 1024**2, max_output=4096)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "timout = 3",
            "unknown key 'timout' in [kosmolua.limits] (did you mean 'timeout' or 'task_timeout' or",
        ),
        ("timeout = '3 sec'", "timeout: '3 sec' is not a duration such as 90s, 10m or 1h"),
        ("timeout = true", "timeout: it must be a number, not true"),
        ("timeout = 0", "the limit timeout must be more than 0"),
        ("timeout = nan", "the limit timeout must be more than 0"),
        ("cpu = inf", "the limit cpu must be more than 0"),
        ("max_calls = 1.5", "max_calls: it must be a whole number, not 1.5"),
        ("memory = '20 elephants'", "memory: '20 elephants' is not a size such as 64K"),
    ],
)
def test_limits_that_make_no_sense(make: Make, text: str, message: str) -> None:
    """A limit that is misspelt or endless is an error of the file."""
    accounts = make(f"[kosmolua.limits]\n{text}")
    with pytest.raises(ConfigError) as refused:
        accounts.sections.limits(Limits())
    assert message in refused.value.message
    assert refused.value.message.startswith(f"{accounts.path}:2: ")


# Where the file is


def test_the_place_of_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named file goes before the variable, which goes before the user's own, which need not be there."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    monkeypatch.chdir(home)
    (home / "accounts.toml").write_text("[lib.here]")
    usual, exists = accounts_file(None, {})
    assert Path(usual).name == "accounts.toml"
    assert exists is False
    assert Path(usual) != home / "accounts.toml", "never from the folder that the user stands in"
    assert accounts_file(None, {"KOSMOLUA_ACCOUNTS": "/a.toml"}) == ("/a.toml", True)
    assert accounts_file("b.toml", {"KOSMOLUA_ACCOUNTS": "/a.toml"}) == ("b.toml", True)
    assert accounts_file(None, {"KOSMOLUA_ACCOUNTS": ""}) == (usual, False)
