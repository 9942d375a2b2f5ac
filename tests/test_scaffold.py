"""``kosmolua integrations new``: what it writes works before anything in it is changed."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest
from conftest import ROOT, Program
from support.loopback import Loopback

from kosmolua.authoring.plan import AUTH, Draft, check_name, check_url
from kosmolua.authoring.scaffold import write
from kosmolua.catalog.plugins import Plugins
from kosmolua.cli.program import program
from kosmolua.cli.streams import standard
from kosmolua.errors import UsageError
from kosmolua.plugin import Request, Response
from kosmolua.testing import answer

FILES = ["__init__.py", "pyproject.toml", "simulator.py", "test_weather.py", "weather.md"]
Python = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def python(environment: dict[str, str], home: Path) -> Python:
    """Return a function that runs Python where the plugin was written."""

    def run(*arguments: str, path: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
        variables = {**environment, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, *path)))}
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=home, env=variables, capture_output=True, text=True, timeout=300, check=False
        )

    return run


# What is written


@pytest.mark.slow
@pytest.mark.parametrize("auth", AUTH)
def test_its_own_test_passes_at_once(kosmolua: Program, python: Python, home: Path, auth: str) -> None:
    """Whatever the credential, nothing has to be edited; and lint has nothing to say."""
    made = kosmolua("integrations", "new", "weather", "--auth", auth)
    assert made.returncode == 0
    assert made.stderr == ""
    assert sorted(path.name for path in (home / "weather").iterdir()) == FILES

    tested = python("-m", "pytest", "weather", "-q", "-p", "no:cacheprovider")
    assert tested.returncode == 0, tested.stdout
    assert f"{7 if auth == 'none' else 8} passed" in tested.stdout
    checked = kosmolua("integrations", "check", "weather")
    assert checked.returncode == 0
    assert checked.stderr == ""
    assert all("note:" in line or line == "weather: nothing to correct" for line in checked.stdout.splitlines())


@pytest.mark.slow
def test_it_runs_with_its_simulator(kosmolua: Program) -> None:
    """As the last lines of the output say."""
    made = kosmolua("integrations", "new", "weather")
    assert "kosmolua run --simulate --plugin weather -e 'print(app.integrations.weather.list_items())'" in made.stdout

    ran = kosmolua(
        "run", "--simulate", "--plugin", "weather", "-e", "print(#app.integrations.weather.list_items().items)"
    )
    assert ran.returncode == 0
    assert ran.stdout == "3\n"
    assert ran.stderr == ""


def serve(request: Request) -> Response:
    """A service of one item."""
    item = {"id": "7", "name": "seven"}
    return answer(200, item if "/items/" in request.url else {"items": [item]})


@pytest.mark.slow
def test_it_runs_against_a_service(kosmolua: Program) -> None:
    """No account, no edit: its base URL is what was given."""
    with Loopback(serve) as server:
        kosmolua("integrations", "new", "weather", "--base-url", f"{server.url}/v1/")
        script = "local w = app.integrations.weather print(w.list_items({ limit = 3 }).items[1].id, w.get_item('7').id)"
        ran = kosmolua("run", "--plugin", "weather", "-e", script)

    assert ran.returncode == 0
    assert ran.stdout == "7\t7\n"
    assert ran.stderr == ""
    assert [request.url for request in server.requests] == [f"{server.url}/v1/items", f"{server.url}/v1/items/7"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "header", "query"),
    [
        (["--auth", "bearer"], ("Authorization", "Bearer s3cret-key"), ()),
        (["--auth", "header"], ("X-Api-Key", "s3cret-key"), ()),
        (["--header", "X-Weather"], ("X-Weather", "s3cret-key"), ()),
        (["--auth", "query"], None, ("api_key", "s3cret-key")),
        (["--parameter", "appid"], None, ("appid", "s3cret-key")),
        (["--auth", "basic"], ("Authorization", "Basic YW5uOnMzY3JldC1rZXk="), ()),
        (["--auth", "none"], None, ()),
    ],
)
def test_the_credential_is_where_it_was_wanted(
    kosmolua: Program,
    home: Path,
    options: list[str],
    header: tuple[str, str] | None,
    query: tuple[str, str] | tuple[()],
) -> None:
    """On the wire, from the account of the stanza that ``accounts example`` prints."""
    with Loopback(serve) as server:
        made = kosmolua("integrations", "new", "weather", "--base-url", server.url, *options)
        assert made.returncode == 0
        if "none" not in options:
            assert "  kosmolua accounts example weather --plugin weather" in made.stdout
        settings = 'user = "ann"\npassword = "s3cret-key"\n' if "basic" in options else 'api_key = "s3cret-key"\n'
        (home / "accounts.toml").write_text("" if "none" in options else f"[weather.default]\n{settings}")
        ran = kosmolua("call", "weather.list_items", "--plugin", "weather", "--accounts", "accounts.toml")

    assert json.loads(ran.stdout) == {"items": [{"id": "7", "name": "seven"}], "cursor": None}
    (request,) = server.requests
    assert header is None or request.headers[header[0]] == header[1]
    assert header or "Authorization" not in request.headers
    assert not query or query in request.query


def test_next_steps_say_how_to_get_pytest_where_it_is_missing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A plain install has no pytest."""
    monkeypatch.chdir(home)
    monkeypatch.setattr(standard, "output", 1)  # a command that ran in this process before may have set it apart
    for name, is_there in (("weather", True), ("tides", False)):
        program(["integrations", "new", name], standalone_mode=False)
        assert ("pip install pytest" in capfd.readouterr().out) != is_there
        monkeypatch.setitem(sys.modules, "pytest", None)


@pytest.mark.slow
def test_json_is_asked_for_after_the_name_too(kosmolua: Program, home: Path) -> None:
    """The files, which the other commands of the group would list as JSON in the same way."""
    files = json.loads(kosmolua("integrations", "new", "weather", "--json").stdout)
    assert all((home / file).is_file() for file in files)


@pytest.mark.slow
def test_its_wheel_is_found_by_its_entry_point(kosmolua: Program, python: Python, tmp_path: Path) -> None:
    """Built and installed as the packaging section says, with the source away, it is one of the integrations."""
    kosmolua("integrations", "new", "my_weather", "--auth", "bearer")
    built = python("-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist"), "my_weather")
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = (tmp_path / "dist").glob("kosmolua_my_weather-0.1.0-*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info" not in name}
    assert names == {f"kosmolua_my_weather/{name}" for name in ("__init__.py", "simulator.py", "my_weather.md")}

    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)  # as pip installs a wheel of plain Python, in a tenth of the time
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])}
    listed = kosmolua("integrations", variables=paths, cwd=tmp_path)
    row = next(line for line in listed.stdout.splitlines() if line.startswith("my_weather\t"))
    assert "\tentry point\t2 reads, 1 write" in row
    script = "print(#app.integrations.my_weather.list_items().items)"
    ran = kosmolua("run", "--simulate", "-e", script, variables=paths, cwd=tmp_path)
    assert ran.returncode == 0
    assert ran.stdout == "3\n"
    assert ran.stderr == ""
    assert kosmolua("docs", "my_weather.create_item", variables=paths, cwd=tmp_path).stdout.count("The service chooses")
    assert kosmolua("integrations", "check", "my_weather", variables=paths, cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_it_reads_its_templates_from_a_zip(tmp_path: Path, python: Python) -> None:
    """As from the wheel of KosmoLua itself, which need not be unpacked."""
    archive = tmp_path / "kosmolua.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in (ROOT / "kosmolua").rglob("*"):
            if path.suffix in (".py", ".txt"):
                zipped.write(path, path.relative_to(ROOT))
    code = (
        f"import sys; sys.path[:] = [{str(archive)!r}] + [p for p in sys.path if p != {str(ROOT)!r}]\n"
        "from pathlib import Path\nfrom kosmolua.authoring.plan import Draft\n"
        "from kosmolua.authoring.scaffold import write\n"
        "assert write.__code__.co_filename.startswith(sys.path[0])\n"
        f"print(len(write(Draft('weather'), Path({str(tmp_path)!r}))))"
    )
    done = python("-c", code)
    assert done.stdout == "5\n"
    assert done.stderr == ""


def test_a_base_url_cannot_leave_its_string(tmp_path: Path) -> None:
    """Nor can a header: what is written is Python that says just that."""
    plan = Draft("weather", "https://api.example.com/a%20b/$x/{y}", auth="header", header="X-$Key")
    source = write(plan, tmp_path)[0].read_text()
    strings = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}

    assert {plan.base_url, plan.header} <= strings
    loaded = Plugins([tmp_path / "weather"], places=(), entry_points=dict).load("weather")
    assert [field.default for field in loaded.integration.account_fields][-1] == plan.base_url


# What is refused


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Weather", "An integration cannot be called 'Weather' (use a-z, 0-9 and _, a letter first)"),
        ("my-weather", "An integration cannot be called 'my-weather'"),
        ("../weather", "An integration cannot be called '../weather'"),
        ("2day", "An integration cannot be called '2day'"),
        ("end", "An integration cannot be called 'end' (it is a word of Lua itself)"),
        ("app", "An integration cannot be called 'app' (paths such as app.integrations.NAME begin with it)"),
        (
            "class",
            "class is a keyword of Python, so a plugin cannot have this name (choose another name, such as class_api)",
        ),
        (
            "json",
            "There is already a Python module json, which the plugin's test would import instead of the plugin "
            "(choose another name, such as json_api)",
        ),
        ("click", "There is already a Python module click"),
        ("github", "There is already an integration called github (choose another name, such as github_api)"),
    ],
)
def test_a_bad_name_is_refused_in_a_sentence(kosmolua: Program, home: Path, name: str, says: str) -> None:
    """It says why, and what to do; nothing is written."""
    made = kosmolua("integrations", "new", name)

    assert made.returncode == 2
    assert made.stdout == ""
    assert made.stderr.startswith(f"kosmolua: {says}")
    assert [path for path in home.iterdir() if path.name != ".config"] == []


@pytest.mark.parametrize(
    "url", ["api.example.com", "ftp://x", "https://", "https://u:p@x", "https://x?k=v", 'http://"x']
)
def test_a_bad_url_is_refused(url: str) -> None:
    """An account could not use it either."""
    with pytest.raises(UsageError, match="is not a base URL"):
        check_url(url)


@pytest.mark.parametrize(
    ("field", "value"), [("auth", "oauth"), ("header", "X Key"), ("header", ""), ("parameter", 'a"b')]
)
def test_a_plan_is_checked(field: str, value: str) -> None:
    """Also when it does not come from the command line."""
    with pytest.raises(UsageError):
        Draft("weather", **{field: value})


@pytest.mark.slow
def test_nothing_is_overwritten(kosmolua: Program, home: Path) -> None:
    """Neither a folder with something in it nor a file."""
    kosmolua("integrations", "new", "weather")
    mine = home / "weather" / "__init__.py"
    mine.write_text("# mine\n")
    (home / "sunshine").write_text("a file")
    for name in ("weather", "sunshine"):
        again = kosmolua("integrations", "new", name)
        assert again.returncode == 2
        assert f"kosmolua: {name} already exists, so nothing was written" in again.stderr
    assert mine.read_text() == "# mine\n"
    assert (home / "sunshine").read_text() == "a file"


def test_a_folder_that_cannot_be_written_is_a_sentence(kosmolua: Program, home: Path) -> None:
    """As where a file stands in the way."""
    (home / "here").write_text("a file")
    made = kosmolua("integrations", "new", "weather", "--dir", "here")

    assert made.returncode == 2
    assert made.stderr.startswith("kosmolua: here/weather cannot be written: ")


def test_a_name_that_only_the_folder_here_has_is_fine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With --dir, the plugin can be called like a package of the folder that the user stands in."""
    (tmp_path / "sunshine").mkdir()
    (tmp_path / "sunshine" / "__init__.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    assert check_name("sunshine") == "sunshine"


# What is asked


@pytest.mark.slow
def test_a_person_is_asked_for_what_was_not_given(environment: dict[str, str], home: Path) -> None:
    """On a terminal, with the usual as a suggestion, and again where the answer does not fit."""
    command = [sys.executable, "-m", "kosmolua", "integrations", "new", "weather"]
    terminal = pexpect.spawn(command[0], command[1:], cwd=str(home), env=environment, encoding="utf-8", timeout=60)
    terminal.expect_exact("Base URL of the service [https://api.example.com]:")
    terminal.sendline("nonsense")
    terminal.expect_exact("is not a base URL")
    terminal.sendline("https://weather.example/v1")
    terminal.expect_exact("How requests carry a credential (bearer, header, query, basic, none) [none]:")
    terminal.sendline("header")
    terminal.expect_exact("Name of the header [X-Api-Key]:")
    terminal.sendline("")
    terminal.expect(pexpect.EOF)
    terminal.close()

    assert terminal.exitstatus == 0
    source = (home / "weather" / "__init__.py").read_text()
    assert '"https://weather.example/v1"' in source
    assert 'headers={"X-Api-Key": self.api_key}' in source
