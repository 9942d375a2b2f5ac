"""The scaffold of a new plugin, which loads, runs and passes its own test as it is written."""

from __future__ import annotations

import json
import keyword
import re
import sys
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from importlib.machinery import PathFinder
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from kosmolua.errors import UsageError
from kosmolua.schema.names import objection_to_integration

if TYPE_CHECKING:
    from kosmolua.authoring.curated import Start
    from kosmolua.catalog.openapi.security import Setting

AUTH = ("bearer", "header", "query", "basic", "none")
"""How a request can carry a credential."""
EXAMPLE_URL = "https://api.example.com"

_URL = re.compile(r"https?://[^\s/?#@\"'\\]+(/[^\s?#@\"'\\]*)?")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&*+.^_|~-]+")


@dataclass(frozen=True)
class Plan:
    """The description of a new plugin.

    Args:
        name: The integration's name, which is also that of its folder.
        base_url: Where the service is.
        auth: One of :data:`AUTH`.
        header: The header that carries the key, if ``auth`` is ``header``.
        parameter: The query parameter that carries it, if ``auth`` is ``query``.
        prefix: The word before a bearer's token or before the key in a header, if it is not the usual one.
        settings: Headers that every request has.

    Raises:
        UsageError: One of them is invalid.
    """

    name: str
    base_url: str = EXAMPLE_URL
    auth: str = "none"
    header: str = "X-Api-Key"
    parameter: str = "api_key"
    prefix: str = ""
    settings: Sequence[Setting] = ()

    def __post_init__(self) -> None:
        check_name(self.name)
        check_url(self.base_url)
        check_auth(self.auth)
        check_token(self.header)
        check_token(self.parameter)
        for each in self.settings:
            check_token(each.header)

    @property
    def title(self) -> str:
        """The name as a heading has it."""
        return self.name.replace("_", " ").capitalize()


def check_name(name: str, taken: Container[str] = ()) -> str:
    """Return a name that a new plugin can have.

    Args:
        name: The name.
        taken: The names of the installed integrations.

    Raises:
        UsageError: The name cannot be used; the message says why.
    """
    if objection := objection_to_integration(name):
        raise UsageError(f"An integration cannot be called {name!r}", hint=objection)
    better = f"choose another name, such as {name}_api"
    if keyword.iskeyword(name):
        raise UsageError(f"{name} is a word of Python itself", hint=better)
    if name in taken:
        raise UsageError(f"There is an integration called {name} already", hint=better)
    if _is_importable(name):
        raise UsageError(f"{name} is a Python module already, and its test would import that one", hint=better)
    return name


def check_url(url: str) -> str:
    """Return a base URL that an account can have.

    Raises:
        UsageError: It is not such a URL.
    """
    if not _URL.fullmatch(url):
        raise UsageError(f"{url!r} is not a base URL", hint="such as https://api.example.com/v1, without user or query")
    return url.rstrip("/")


def check_auth(auth: str) -> str:
    """Return one of :data:`AUTH`.

    Raises:
        UsageError: It is not one of them.
    """
    if auth not in AUTH:
        raise UsageError(f"There is no auth {auth!r}", hint=f"choose {', '.join(AUTH)}")
    return auth


def check_token(name: str) -> str:
    """Return a name that a header or a parameter can have.

    Raises:
        UsageError: The name is invalid.
    """
    if not _TOKEN.fullmatch(name):
        raise UsageError(f"{name!r} is not a name for a header or a parameter", hint="such as X-Api-Key")
    return name


def write(plan: Plan, parent: Path, start: Start | None = None) -> list[Path]:
    """Write the plugin's folder and return its files.

    Args:
        plan: The description of the plugin.
        parent: Where its folder is put.
        start: The document that it extends, and the functions written from that; without it, an example.

    Raises:
        UsageError: The folder is there already, or it cannot be written.
    """
    folder = parent / plan.name
    try:
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            raise UsageError(f"{folder} is there already, so nothing was written", hint="choose another name, or --dir")
        folder.mkdir(parents=True, exist_ok=True)
        return [_write(folder / name, text) for name, text in _texts(plan, start).items()]
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}") from None


def _write(file: Path, text: str) -> Path:
    with file.open("x", encoding="utf-8") as stream:
        stream.write(text)
    return file


def _texts(plan: Plan, start: Start | None) -> dict[str, str]:
    scheme = _scheme(plan)
    imports = ["Api", "Integration", *(["Secret"] if "Secret" in scheme.fields else []), "Send", "between"]
    values = {
        "name": plan.name,
        "title": plan.title,
        "distribution": plan.name.replace("_", "-").strip("-"),
        "base_url": check_url(plan.base_url),
        "imports": ", ".join(imports),
        "fields": scheme.fields,
        "credential": scheme.arguments,
        "credential_test": scheme.test and _credential_test(plan, scheme.test, start),
        "documents": "",
    }
    kind = "integration"
    if start:
        kind = "extension"
        values |= _of_start(plan, start, imports)
    templates = {
        "__init__.py": "plugin.py",
        f"{plan.name}.md": "page.md",
        "simulator.py": "simulator.py",
        f"test_{plan.name}.py": "test.py",
        "pyproject.toml": "pyproject.toml",
    }
    home = files("kosmolua.authoring") / "templates"
    of_kind = {name: home / kind / f"{source}.txt" for name, source in templates.items()}
    of_kind["pyproject.toml"] = home / "integration" / "pyproject.toml.txt"
    texts = {name: Template(file.read_text(encoding="utf-8")).substitute(values) for name, file in of_kind.items()}
    return texts | (start.ready.texts() if start else {})


def _of_start(plan: Plan, start: Start, imports: Sequence[str]) -> dict[str, str]:
    """Return what the templates of a plugin that extends a document have besides."""
    sources = "\n\n".join(each.source for each in start.functions)
    return {
        "imports": ", ".join(each for each in imports if each != "between" or "between(" in sources),
        "typed": "Annotated, Any, Literal" if "Literal[" in sources else "Annotated, Any",
        "functions": f"\n\n{sources}",
        "sections": "\n".join(each.section(plan.name) for each in start.functions),
        "calls": "".join(each.call for each in start.functions),
        "replies": start.replies(),
        "documents": ', "openapi.*", "names.lock"',
    }


def _credential_test(plan: Plan, test: str, start: Start | None) -> str:
    """Return the test that sends one request and looks for the credential in it."""
    canned = "" if start else ', {("GET", "/items"): []}'
    call = json.dumps(f"{plan.name}.{start.functions[0].name if start else 'list_items'}")
    if start:
        call += f", {start.functions[0].arguments!r}"
    return Template(_CREDENTIAL_TEST).substitute(canned=canned, call=call, test=test)


@dataclass(frozen=True)
class _Scheme:
    """A way to authenticate a request.

    Args:
        fields: Lines of the account class.
        headers: Entries of the headers that the client gets.
        argument: What the client gets besides.
        test: Python that shows where the credential was in ``request``.
    """

    fields: str = ""
    headers: tuple[str, ...] = ()
    argument: str = ""
    test: str = ""

    @property
    def arguments(self) -> str:
        """What the client gets besides what it always gets, with a comma before it."""
        headers = f"headers={{{', '.join(self.headers)}}}" if self.headers else ""
        return "".join(f", {each}" for each in (self.argument, headers) if each)


_KEY = '    api_key: Annotated[Secret, "Where to get one."]\n'
_PASSWORD = '    user: Annotated[str, "Who signs in."]\n    password: Annotated[Secret, "Where to get one."]\n'
_CREDENTIAL_TEST = '''
def test_the_credential_is_sent() -> None:
    """It is where the service looks for it."""
    play = Playground(integration$canned)
    play.call($call)
    request = play.requests[0]

    assert $test

'''


def _scheme(plan: Plan) -> _Scheme:
    header, parameter = json.dumps(plan.header), json.dumps(plan.parameter)
    authorization = 'request.headers["Authorization"].reveal()'
    sent, word = f"request.headers[{header}].reveal()", f"{plan.prefix} " if plan.prefix else ""
    key = f"self.api_key.prefixed({json.dumps(plan.prefix)})" if plan.prefix else "self.api_key"
    scheme = {
        "bearer": _Scheme(_KEY, (), "bearer=self.api_key", f'{authorization} == "Bearer made-up-api_key"'),
        "header": _Scheme(_KEY, (f"{header}: {key}",), "", f"{sent} == {json.dumps(f'{word}made-up-api_key')}"),
        "query": _Scheme(
            _KEY,
            (),
            f"query={{{parameter}: self.api_key}}",
            f'dict(request.query)[{parameter}].reveal() == "made-up-api_key"',
        ),
        "basic": _Scheme(
            _PASSWORD,
            ('"Authorization": self.password.as_password_of(self.user)',),
            "",
            f'{authorization}.startswith("Basic ")',
        ),
        "none": _Scheme(),
    }[plan.auth]
    entries = tuple(f"{json.dumps(each.header)}: self.{each.field}" for each in plan.settings)
    return replace(scheme, fields=scheme.fields + _fields(plan.settings), headers=(*scheme.headers, *entries))


def _fields(settings: Sequence[Setting]) -> str:
    """Return the lines of the account class for headers that every request has, those without a default first."""
    lines = [
        f'    {each.field}: Annotated[{"Secret" if each.secret else "str"}, "Sent as {each.header}."]'
        + (f" = {json.dumps(each.default)}" if each.default is not None else "")
        for each in sorted(settings, key=lambda each: each.default is not None)
    ]
    return "".join(f"{line}\n" for line in lines)


def _is_importable(name: str) -> bool:
    """Return True if Python has a module of this name outside the current folder."""
    elsewhere = [path for path in sys.path if path not in ("", str(Path.cwd()))]
    return name in sys.stdlib_module_names or PathFinder.find_spec(name, elsewhere) is not None
