"""``kosmolua install`` and ``uninstall``: the settings files of twelve clients, in and out again byte for byte."""

from __future__ import annotations

import json
import shutil
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from conftest import Program

from kosmolua.cli.commands.install import difference
from kosmolua.clients.formats import JSONC, TOML, YAML, FileFormat, found, with_entry, without_entry
from kosmolua.clients.installation import Installation
from kosmolua.clients.known import CLIENTS, ClientProgram
from kosmolua.errors import ConfigError

GOLDEN = Path(__file__).parent / "clients"
COMMAND = ["/opt/kosmolua/bin/kosmolua", "mcp", "--read-only"]
URL = "https://agents.example/mcp"
REMOTE = {
    "claude-code": {"type": "http", "url": URL},
    "codex": {"url": URL},
    "cursor": {"url": URL},
    "vscode": {"type": "http", "url": URL},
    "windsurf": {"serverUrl": URL},
    "zed": {"url": URL},
    "gemini": {"httpUrl": URL},
    "opencode": {"type": "remote", "url": URL},
    "cline": {"type": "streamableHttp", "url": URL},
    "continue": {"name": "kosmolua", "type": "streamable-http", "url": URL},
}

NAMES = pytest.mark.parametrize("name", CLIENTS)


def example(name: str) -> Path:
    """Return the file of a client as its documentation has it."""
    return next(path for path in GOLDEN.glob(f"{name}.*") if ".installed." not in path.name)


def installed(name: str) -> bytes:
    """Return the file with our entry."""
    return next(GOLDEN.glob(f"{name}.installed.*")).read_bytes()


@pytest.fixture
def there(config: Path, home: Path) -> Installation:
    """The installation of a user who has all clients, with the examples as their files."""
    environ = {"HOME": str(home), "XDG_CONFIG_HOME": str(config.parent), "USERPROFILE": str(home)}
    for name, client in CLIENTS.items():
        place = client.places[-1 if name != "opencode" else 0]
        roots = {"~": home, "CONFIG": config.parent, "APP": config.parent}
        file = roots[place.partition("/")[0]] / place.partition("/")[2]
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(example(name), file)
    return Installation(environ)


def file_of(there: Installation, client: ClientProgram) -> Path:
    return there.present()[client.name]


@NAMES
def test_each_client_gets_its_entry(there: Installation, name: str) -> None:
    """Nothing but the entry changes, and it is written as the client has it."""
    client = CLIENTS[name]
    there.apply(there.adding(client, client.local(COMMAND)))
    assert file_of(there, client).read_bytes() == installed(name)


@NAMES
def test_twice_in_and_out_again(there: Installation, name: str) -> None:
    """The second time changes nothing, and afterwards the file is as it was, byte for byte."""
    client = CLIENTS[name]
    there.apply(there.adding(client, client.local(COMMAND)))
    again = there.adding(client, client.local(COMMAND))
    assert again.after == again.before
    there.apply(there.removing(client))
    assert file_of(there, client).read_bytes() == example(name).read_bytes()


@NAMES
def test_another_entry_takes_the_place_of_the_first(there: Installation, name: str) -> None:
    """Also with other options than before, the way back leads to the original file."""
    client = CLIENTS[name]
    there.apply(there.adding(client, client.local(COMMAND)))
    there.apply(there.adding(client, client.local([*COMMAND, "--simulate"])))
    assert file_of(there, client).read_bytes().count(b"--simulate") == 1
    there.apply(there.removing(client))
    assert file_of(there, client).read_bytes() == example(name).read_bytes()


@NAMES
def test_what_others_write_meanwhile_stays(there: Installation, name: str) -> None:
    """If the client has changed its file since, our entry alone is taken out of it."""
    client = CLIENTS[name]
    there.apply(there.adding(client, client.local(COMMAND)))
    file = file_of(there, client)
    text = file.read_bytes().decode()
    data = client.style.read(text)
    other = (*client.keys_in(data)[:-1], "other")
    entry = {**client.local(["/bin/other"]), **({"name": "other"} if name == "continue" else {})}
    file.write_bytes(with_entry(client.style, text, other, entry).encode())
    there.apply(there.removing(client))
    left = client.style.read(file.read_bytes().decode())
    assert found(left, other) == entry
    assert found(left, client.keys_in(left)) is None


@pytest.mark.parametrize(("name", "entry"), REMOTE.items())
def test_a_server_elsewhere_has_an_entry_too(there: Installation, name: str, entry: dict[str, Any]) -> None:
    """Each client has its own words for a server that is reached over HTTP."""
    client = CLIENTS[name]
    assert client.remote
    there.apply(there.adding(client, client.remote(URL)))
    assert there.entry(client) == entry


def test_opencode_1_has_its_servers_elsewhere(there: Installation) -> None:
    """A file with servers directly below mcp is one of the first version."""
    file = file_of(there, CLIENTS["opencode"])
    file.write_text('{"mcp": {"a": {"type": "local", "command": ["a"], "enabled": true}}}', encoding="utf-8")
    there.apply(there.adding(CLIENTS["opencode"], CLIENTS["opencode"].local(COMMAND)))
    assert json.loads(file.read_bytes())["mcp"]["kosmolua"]["command"] == COMMAND


@pytest.mark.parametrize(
    ("style", "text"),
    [
        (JSONC, '{"mcpServers": {'),
        (JSONC, '{"mcpServers": {}} x'),
        (JSONC, '{"mcpServers": []}'),
        (JSONC, "<xml/>"),
        (JSONC, '{"a": 1, "a": 2}'),
        (TOML, "mcpServers = { kosmolua = 1"),
        (TOML, "mcpServers = { other = { command = 'x' } }"),
        (YAML, "mcpServers: {other: {command: x}}"),
        (YAML, "- a\n- b\n"),
        (TOML, "mcpServers = 1"),
        (YAML, "mcpServers:\n- - a\n"),
        (YAML, "a: [1"),
    ],
)
def test_a_file_that_cannot_be_changed_is_left(style: FileFormat, text: str) -> None:
    """What is not of its format, or written so that an entry cannot be added alone, is refused."""
    with pytest.raises(ValueError, match=r"\w"):
        with_entry(style, text, ("mcpServers", "kosmolua"), {"command": "x"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "{ }",
        "// only a comment\n",
        "\ufeff{}",
        '{"mcpServers": {/* none */}}',
        '{"a": 1 /* b */, // c\n}',
        '{\r\n  "a": [1, {"b": "}"}] // c\r\n}\r\n',
    ],
)
def test_any_json_takes_an_entry_and_keeps_its_comments(text: str) -> None:
    """Every comment is still there after an entry came and went."""
    put = with_entry(JSONC, text, ("mcpServers", "kosmolua"), {"command": "x"})
    gone = without_entry(JSONC, put, ("mcpServers", "kosmolua"))
    assert JSONC.read(put)["mcpServers"] == {"kosmolua": {"command": "x"}}
    assert [word for word in text.split() if word.startswith(("//", "/*"))] == [
        word for word in gone.split() if word.startswith(("//", "/*"))
    ]


@pytest.mark.parametrize(
    ("style", "text"),
    [
        (TOML, '[mcpServers.kosmolua] # mine\ncommand = "y"\n# of a\n[a]\n'),
        (TOML, 'x = 1\n[mcpServers.kosmolua]\ncommand = "y"\n[mcpServers.kosmolua.env]\nA = "1"\n'),
        (YAML, "mcpServers:\n  kosmolua:\n    command: y\n# end\nz: 1\n"),
        (YAML, "mcpServers: {}\n"),
        (YAML, "mcpServers:\nz: 1\n"),
        (YAML, "z: 1"),
    ],
)
def test_an_entry_of_before_is_replaced(style: FileFormat, text: str) -> None:
    """What the user wrote by hand under our name gives way; the rest stays."""
    put = with_entry(style, text, ("mcpServers", "kosmolua"), {"command": "x"})
    assert style.read(put)["mcpServers"] == {"kosmolua": {"command": "x"}}
    assert {line for line in text.splitlines() if line.startswith("#")} <= {*put.splitlines()}


def test_a_client_that_is_not_there_gets_no_folder(config: Path, home: Path) -> None:
    """The sentence says so, and nothing is made."""
    with pytest.raises(ConfigError, match="Zed is not there, so nothing was written"):
        Installation({"HOME": str(home)}).adding(CLIENTS["zed"], {})
    with pytest.raises(ConfigError) as nothing:
        Installation({"HOME": str(home)}).removing(CLIENTS["zed"])
    assert not nothing.value.hint  # nobody has to start what is to be left alone
    assert not (home / ".config" / "zed").exists()


def test_a_file_that_we_made_is_gone_again(config: Path, home: Path) -> None:
    """A client that is there and has no file yet gets one, which is removed with its entry."""
    (home / ".cursor").mkdir()
    here = Installation({"HOME": str(home), "USERPROFILE": str(home)})
    here.apply(here.adding(CLIENTS["cursor"], CLIENTS["cursor"].local(COMMAND)))
    assert (home / ".cursor" / "mcp.json").exists()
    here.apply(here.removing(CLIENTS["cursor"]))
    assert not (home / ".cursor" / "mcp.json").exists()


@pytest.mark.slow
def test_the_program_installs_itself_and_shakes_hands(kosmolua: Program, home: Path) -> None:
    """The entry starts a server that answers, the doctor sees it, and its options are those after --."""
    (home / ".cursor").mkdir()
    done = kosmolua("install", "cursor", "--json", "--", "--simulate")
    assert done.returncode == 0
    assert done.stderr == ""
    assert json.loads(done.stdout)[0]["handshake"] == "ok"
    entry = json.loads((home / ".cursor" / "mcp.json").read_bytes())["mcpServers"]["kosmolua"]
    assert Path(entry["command"]).is_absolute()
    assert entry["args"][-2:] == ["mcp", "--simulate"]
    checks = json.loads(kosmolua("doctor", "--json").stdout)["checks"]
    assert next(each for each in checks if each["subject"] == "client cursor")["state"] == "ok"


@pytest.mark.slow
def test_a_program_that_does_not_start_is_not_installed(kosmolua: Program, home: Path) -> None:
    """An entry that works stays as it is."""
    (home / ".cursor").mkdir()
    file = home / ".cursor" / "mcp.json"
    file.write_text('{"mcpServers": {"kosmolua": {"command": "kosmolua", "args": ["mcp"]}}}')
    before = file.read_text()
    done = kosmolua("install", "cursor", "--", "--no-such-option")
    assert done.returncode != 0
    assert "nothing was written" in done.stderr
    assert file.read_text() == before


def test_a_change_is_shown_without_what_stands_around(there: Installation) -> None:
    """A file on one line may have another server's secret on this line."""
    client = CLIENTS["cursor"]
    file_of(there, client).write_text('{"mcpServers":{"github":{"env":{"TOKEN":"ghp_secret"}}}}', encoding="utf-8")
    shown = difference(there.adding(client, client.local(COMMAND)))
    assert "ghp_secret" not in shown
    assert '+    "kosmolua": {' in shown
    file_of(there, client).write_text('{\r\n  "mcpServers": {\r\n    "a": {}\r\n  }\r\n}\r\n', encoding="utf-8")
    assert difference(there.adding(client, client.local(COMMAND))).startswith('+    "kosmolua": {')


@pytest.mark.parametrize("name", CLIENTS)
def test_a_changed_entry_is_shown_by_its_lines(there: Installation, name: str) -> None:
    """Each line whole, with what it was above what it is; a key that somebody wrote there is not repeated."""
    client = CLIENTS[name]
    before = client.local(["/old/kosmolua", "mcp"]) | {"env": {"RENDER_API_KEY": "rnd_secretsecret"}}
    there.apply(there.adding(client, before))
    lines = difference(there.adding(client, client.local(["/new/kosmolua", "mcp"]))).splitlines()
    assert {line[0] for line in lines} == {"-", "+"}
    (old,), (new,) = ([line[1:].rstrip(",") for line in lines if each in line] for each in ("/old/", "/new/"))
    assert new == old.replace("/old/", "/new/")
    assert "secretsecret" not in "".join(lines)


def test_a_file_that_a_link_names_is_removed_and_not_the_link(there: Installation, tmp_path: Path) -> None:
    """What install made behind a link of the user's dotfiles, uninstall takes away there."""
    client, made = CLIENTS["cursor"], tmp_path / "dotfiles.json"
    link = file_of(there, client)
    link.unlink()
    link.symlink_to(made)
    there.apply(there.adding(client, client.local(COMMAND)))
    there.apply(there.removing(client))
    assert link.is_symlink()
    assert not made.exists()


def test_print_shows_and_writes_nothing(kosmolua: Program, home: Path) -> None:
    """With --print the change goes to standard output, and no file is made."""
    (home / ".codex").mkdir()
    done = kosmolua("install", "codex", "--print")
    assert "+[mcp_servers.kosmolua]" in done.stdout
    assert "nothing was written" in done.stderr
    assert not (home / ".codex" / "config.toml").exists()


def test_the_change_that_is_shown_has_no_others_secrets(kosmolua: Program, home: Path) -> None:
    """The lines of other servers are not repeated."""
    (home / ".cursor").mkdir()
    (home / ".cursor" / "mcp.json").write_text('{"mcpServers": {\n"a": {"env": {"KEY": "s3cret"}},\n"b": {}\n}}')
    done = kosmolua("install", "--print")
    assert '"kosmolua"' in done.stdout
    assert "s3cret" not in done.stdout


def test_one_file_that_cannot_be_read_keeps_no_other_client(kosmolua: Program, home: Path) -> None:
    """The others get their entry, and the exit status and a sentence tell of the one."""
    for name, text in ((".cursor/mcp.json", "<xml/>"), (".gemini/settings.json", "{}")):
        (home / name).parent.mkdir()
        (home / name).write_text(text)
    done = kosmolua("install", "--print")
    assert done.returncode == 3
    assert "Nothing was written into the settings of Cursor" in done.stderr
    assert '"kosmolua"' in done.stdout


def test_a_name_that_no_client_has_is_refused(kosmolua: Program) -> None:
    """The message has the name that was probably meant."""
    done = kosmolua("install", "curser")
    assert done.returncode == 2
    assert "did you mean 'cursor'?" in done.stderr


def test_a_client_with_local_servers_only_says_where_others_go(kosmolua: Program, home: Path) -> None:
    """Claude Desktop has remote servers in its settings, not in its file."""
    (home / ".config" / "Claude").mkdir(parents=True)
    done = kosmolua("install", "claude-desktop", "--tenant", URL)
    assert done.returncode == 3
    assert "under Connectors" in done.stderr


def test_a_url_that_is_none_is_told(kosmolua: Program, home: Path) -> None:
    """The entry is written, and the handshake says what is wrong."""
    (home / ".cursor").mkdir()
    done = kosmolua("install", "cursor", "--tenant", "http://127.0.0.1:port/mcp")
    assert done.returncode == 3
    assert "cannot be reached: nonnumeric port" in done.stderr


class _Login(BaseHTTPRequestHandler):
    """A server that wants a login."""

    def do_POST(self) -> None:
        self.send_response(404 if self.path == "/other" else 401)
        if self.path == "/mcp":
            self.send_header("WWW-Authenticate", 'Bearer resource_metadata="http://127.0.0.1/x"')
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.mark.slow
@pytest.mark.parametrize(("path", "status"), [("mcp", 0), ("other", 3), ("token", 3)])
def test_a_server_that_wants_a_login_is_right(kosmolua: Program, home: Path, path: str, status: int) -> None:
    """The handshake with a URL tells a server where clients log in from one that takes tokens, and from a page."""
    (home / ".cursor").mkdir()
    server = HTTPServer(("127.0.0.1", 0), _Login)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        done = kosmolua("install", "cursor", "--tenant", f"http://127.0.0.1:{server.server_port}/{path}")
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == status, done.stderr
