"""Writes the files of a new plugin. The plugin can be loaded and called as it is, and its test passes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from kosmolua.authoring.plan import Draft, check_url
from kosmolua.errors import UsageError

if TYPE_CHECKING:
    from kosmolua.authoring.curated import Start
    from kosmolua.openapi.security import Setting
_CALLED = ("between", "nested")
"""Names that a plugin imports only if its functions use them."""


def write(plan: Draft, parent: Path, start: Start | None = None) -> list[Path]:
    """Write a new plugin into a folder of ``parent``, and return the paths; without ``start``, with example functions.

    Raises:
        UsageError: The plugin's folder exists and is not empty, or cannot be written.
    """
    folder = parent / plan.name
    try:
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            hint = "choose another name, or another folder with --dir"
            raise UsageError(f"{folder} already exists, so nothing was written", hint=hint)
        folder.mkdir(parents=True, exist_ok=True)
        return [_write(folder / name, text) for name, text in _texts(plan, start).items()]
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}") from None


def _write(file: Path, text: str) -> Path:
    with file.open("x", encoding="utf-8") as stream:
        stream.write(text)
    return file


def _texts(plan: Draft, start: Start | None) -> dict[str, str]:
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


def _of_start(plan: Draft, start: Start, imports: Sequence[str]) -> dict[str, str]:
    """Return the additional values for templates."""
    sources = "\n\n".join(each.source for each in start.functions)
    return {
        "imports": ", ".join(each for each in [*imports, "nested"] if each not in _CALLED or f"{each}(" in sources),
        "typed": "Annotated, Any, Literal" if "Literal[" in sources else "Annotated, Any",
        "functions": f"\n\n{sources}",
        "sections": "\n".join(each.section(plan.name) for each in start.functions),
        "calls": "".join(each.call for each in start.functions),
        "replies": start.replies(),
        "documents": ', "openapi.*", "names.lock"',
    }


def _credential_test(plan: Draft, test: str, start: Start | None) -> str:
    """Return the source of a test that the request carries the credential."""
    canned = "" if start else ', {("GET", "/items"): {"items": []}}'
    call = json.dumps(f"{plan.name}.{start.functions[0].name if start else 'list_items'}")
    if start:
        call += f", {start.functions[0].arguments!r}"
    return Template(_CREDENTIAL_TEST).substitute(canned=canned, call=call, test=test)


@dataclass(frozen=True)
class _Scheme:
    """Source for one way to authenticate.

    ``fields`` declare the account's, ``headers`` and ``argument`` go to the HTTP client, and ``test`` is true if
    ``request`` carries the credential.
    """

    fields: str = ""
    headers: tuple[str, ...] = ()
    argument: str = ""
    test: str = ""

    @property
    def arguments(self) -> str:
        """The client's arguments, beginning with a comma."""
        headers = f"headers={{{', '.join(self.headers)}}}" if self.headers else ""
        return "".join(f", {each}" for each in (self.argument, headers) if each)


_KEY = '    api_key: Annotated[Secret, "Where to get one."]\n'
_PASSWORD = '    user: Annotated[str, "Who signs in."]\n    password: Annotated[Secret, "Where to get one."]\n'
_CREDENTIAL_TEST = '''
def test_the_credential_is_sent() -> None:
    """The request carries the credential where the service expects it."""
    play = Playground(integration$canned)
    play.call($call)
    request = play.requests[0]

    assert $test

'''


def _scheme(plan: Draft) -> _Scheme:
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
    """Return a field per header, those without a default first."""
    lines = [
        f'    {each.field}: Annotated[{"Secret" if each.secret else "str"}, "Sent as {each.header}."]'
        + (f" = {json.dumps(each.default)}" if each.default is not None else "")
        for each in sorted(settings, key=lambda each: each.default is not None)
    ]
    return "".join(f"{line}\n" for line in lines)
