"""``kosmolua lsp``: what an editor gets that speaks with it over standard input and output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import BYTECODE, ROOT, Program

pytestmark = pytest.mark.slow
pytest.importorskip("pygls")
URI = "file:///scripts/restart.lua"
SCRIPT = """local render = app.integrations.render2
print("😀", nmae)
render.restart_service({ service_id = "srv-cabc12345678" })
"""


class Editor:
    """An editor that has opened one script, and counts in bytes, as some do."""

    def __init__(self, program: subprocess.Popen[bytes]) -> None:
        self._program = program
        self._count = 0
        self.published: list[dict[str, Any]] = []
        able = {"general": {"positionEncodings": ["utf-8", "utf-16"]}}
        root = {"processId": os.getpid(), "rootUri": None, "capabilities": able}
        self.capabilities = self.ask("initialize", **root)["capabilities"]
        self.tell("initialized")

    def tell(self, method: str, **given: Any) -> None:
        """Send a notification."""
        self._send({"method": method, "params": given})

    def ask(self, method: str, **given: Any) -> Any:
        """Send a request, and return its result."""
        self._count += 1
        self._send({"id": self._count, "method": method, "params": given})
        while (answer := self._receive()).get("id") != self._count:
            continue
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, text: str) -> list[dict[str, Any]]:
        """Open a script, and return the findings in it."""
        self.published.clear()
        document = {"uri": URI, "languageId": "lua", "version": 1, "text": text}
        self.tell("textDocument/didOpen", textDocument=document)
        return self.findings()

    def findings(self) -> list[dict[str, Any]]:
        """Return the findings that the server tells next."""
        while not self.published:
            self._receive()
        found: list[dict[str, Any]] = self.published.pop()["diagnostics"]
        return found

    def at(self, line: int, character: int) -> dict[str, Any]:
        """Return what a request says about a place in the script."""
        return {"textDocument": {"uri": URI}, "position": {"line": line, "character": character}}

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._program.stdin
        self._program.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._program.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._program.stdout
        size = 0
        while (line := self._program.stdout.readline().strip()) or not size:
            name, _, value = line.partition(b":")
            size = int(value) if name.lower() == b"content-length" else size
        message: dict[str, Any] = json.loads(self._program.stdout.read(size))
        if message.get("method") == "textDocument/publishDiagnostics":
            self.published.append(message["params"])
        return message


@pytest.fixture(scope="module")
def editor() -> Iterator[Editor]:
    """An editor beside the program, which simulates."""
    command = [sys.executable, "-m", "kosmolua", "lsp", "--simulate"]
    with tempfile.TemporaryDirectory() as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home, "PYTHONPATH": str(ROOT)}
        environment["PYTHONPYCACHEPREFIX"] = str(BYTECODE)
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment) as program:
            editor = Editor(program)
            yield editor
            editor.ask("shutdown")
            editor.tell("exit")
            assert program.wait(timeout=60) == 0


def test_findings_come_as_one_types(editor: Editor) -> None:
    """With their kind, and at places in the units of the editor: an emoji is four bytes."""
    [finding] = editor.open(SCRIPT)
    assert finding["range"] == {"start": {"line": 1, "character": 14}, "end": {"line": 1, "character": 18}}
    assert (finding["code"], finding["severity"], finding["source"]) == ("undefined", 2, "kosmolua")
    assert "nothing defines 'nmae'" in finding["message"]
    changed = {"textDocument": {"uri": URI, "version": 2}, "contentChanges": [{"text": "print(1)\n"}]}
    editor.tell("textDocument/didChange", **changed)
    assert editor.findings() == []


def test_a_lens_says_what_the_script_may_do(editor: Editor) -> None:
    """Above its first line, and nothing for a script that makes no call."""
    editor.open(SCRIPT)
    [lens] = editor.ask("textDocument/codeLens", textDocument={"uri": URI})
    assert lens["command"]["title"] == "writes render2.restart_service (default)"
    assert lens["range"]["start"] == {"line": 0, "character": 0}
    editor.open("return 1\n")
    assert editor.ask("textDocument/codeLens", textDocument={"uri": URI}) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("app.integrations.", "render2"),
        ("local render = app.integrations.render2\nrender.list_serv", "list_services"),
        (
            "local render = app.integrations.render2\nlocal staging = render.staging\nstaging.get_owner_l",
            "get_owner_log_stream",
        ),
        ("app.integrations.render2.list_services({ ty", "type = "),
        ('app.integrations.render2.list_services({ type = "web', "web_service"),
        ("json.de", "decode"),
        ("local quantity = 1\nprint(quan", "quantity"),
    ],
)
def test_names_are_completed(editor: Editor, text: str, wanted: str) -> None:
    """Integrations, functions behind locals, arguments and their values, libraries and variables."""
    editor.open(text)
    lines = text.split("\n")
    items = editor.ask("textDocument/completion", **editor.at(len(lines) - 1, len(lines[-1])))
    assert wanted in {item["label"] for item in items}


def test_a_call_has_its_signature(editor: Editor) -> None:
    """While its arguments are typed, and no longer after them."""
    editor.open(SCRIPT)
    [shown] = editor.ask("textDocument/signatureHelp", **editor.at(2, 25))["signatures"]
    assert shown["label"].startswith("restart_service{ service_id: string }")
    assert editor.ask("textDocument/signatureHelp", **editor.at(1, 3)) is None


def test_a_function_is_explained(editor: Editor) -> None:
    """Its page, also if a local variable stands for the integration, and nothing for what is no function."""
    editor.open(SCRIPT)
    page = editor.ask("textDocument/hover", **editor.at(2, 12))["contents"]
    assert page["kind"] == "markdown"
    assert "service_id" in page["value"]
    assert "Effect: write" in page["value"]
    assert editor.ask("textDocument/hover", **editor.at(1, 12)) is None


@pytest.mark.parametrize("method", ["hover", "signatureHelp", "completion", "codeLens"])
def test_a_document_that_is_not_open_is_an_empty_one(editor: Editor, method: str) -> None:
    """An editor may ask about one that it has just closed; and a place behind the end of a document is its end."""
    place = {"position": {"line": 2, "character": 12}}
    unknown = editor.ask(f"textDocument/{method}", textDocument={"uri": "file:///nowhere/at/all.lua"}, **place)
    editor.open("")
    assert editor.ask(f"textDocument/{method}", **editor.at(9, 9)) == unknown
    assert method == "completion" or not unknown


def test_without_its_library_it_says_what_to_install(kosmolua: Program) -> None:
    """A sentence, and the status of a configuration that the user has to mend."""
    hide = "import sys; sys.modules['pygls'] = None; from kosmolua.cli import main; main(['lsp'])"
    done = subprocess.run([sys.executable, "-c", hide], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "pip install 'kosmolua[lsp]'" in done.stderr
