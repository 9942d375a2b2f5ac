"""Imports of documents: fetched, written to the user's integrations, and updated later."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree
from typing import Any
from urllib.parse import urljoin, urlsplit

from kosmolua.accounts.toml import assignments
from kosmolua.errors import ConfigError, NetworkError, UsageError
from kosmolua.folders import replace_file
from kosmolua.http.messages import LOOPBACK, Request, Response, is_protected, location, origin
from kosmolua.limits import MIB
from kosmolua.openapi.bundling import FILES, FilesBelow, FilesOfHost, Neighbours
from kosmolua.openapi.compiling import Built, Compiled, compiled, elsewhere, proposed, raised, write
from kosmolua.openapi.document import MAX_BYTES, Document, read
from kosmolua.openapi.graphql import document_of, introspection
from kosmolua.openapi.naming import read_lock, snake, write_lock
from kosmolua.openapi.operations import read_operations
from kosmolua.openapi.overlay import Overlay, read_overlay
from kosmolua.openapi.paging import KINDS
from kosmolua.openapi.security import AUTH
from kosmolua.openapi.store import DOCUMENT, LOCK, OVERLAY, Home
from kosmolua.schema.effects import EFFECTS
from kosmolua.schema.names import objection_to_integration
from kosmolua.schema.settings import parsed
from kosmolua.schema.tree import rows, table, text
from kosmolua.suggestions import did_you_mean

FETCH_TIMEOUT = 60.0
"""Seconds that fetching a document may take."""
MAX_REDIRECTS = 5
MAX_SHOWN = 12
"""The maximum number of functions that an update lists as new, and as gone, and as changed."""
_SAYS_NOTHING = "openapi swagger spec api api_docs latest schema index v1 v2 v3"
_DULL_NAMES = frozenset(_SAYS_NOTHING.split())
_MODULE = '''"""{title}"""

from kosmolua.openapi.integration import imported

integration = imported(__file__)
'''
_HEAD = "# Additions to this document. `kosmolua docs openapi` lists the keys.\n"


@dataclass(frozen=True)
class Fetched:
    """A document as it was fetched from ``source``: an address, a file, or ``-`` for standard input."""

    data: bytes
    source: str

    @property
    def url(self) -> str:
        """The address, empty for a file or standard input."""
        return self.source if "://" in self.source else ""

    @property
    def name(self) -> str:
        """The source as messages name it."""
        return "Standard input" if self.source == "-" else self.source

    @property
    def near(self) -> Neighbours | None:
        """The files to which it can refer: those below its folder, or at its host."""
        if self.url:
            return FilesOfHost(self.url, partial(_download, within=origin(self.url)))
        return FilesBelow(Path(self.source)) if self.source != "-" else None

    @property
    def stem(self) -> str:
        """A name for the integration; empty for a word such as ``api``."""
        path = urlsplit(self.source).path if self.url else self.source
        stem = snake(Path(path).name.partition(".")[0])
        return "" if stem in _DULL_NAMES else stem


def fetch(source: str, read_stdin: Callable[[], bytes], *, graphql: bool = False) -> Fetched:
    """Fetch a document from an address, a file, or ``-``; with ``graphql``, an address can be the service's own.

    An address must use https, or be on this machine; no credential is sent, redirects to such addresses are followed,
    and the download must end within :data:`FETCH_TIMEOUT`.

    Raises:
        ConfigError: The document cannot be fetched or read, or is too large.
    """
    if source == "-":
        return Fetched(read_stdin(), source)
    if "://" in source:
        return Fetched(_download(source, introspection() if graphql and not _is_file(source) else b""), source)
    path = Path(source)
    try:
        with path.open("rb") as file:
            return Fetched(file.read(MAX_BYTES + 1), str(path.absolute()))
    except OSError as error:
        raise ConfigError(f"{source} cannot be read: {error.strerror}") from None


def _is_file(url: str) -> bool:
    """Return True if an address is that of a GraphQL schema, and not of a service, which is asked for its schema."""
    return urlsplit(url).path.endswith((".graphql", ".graphqls", ".gql", ".json"))


def document_in(fetched: Fetched, *, graphql: bool, endpoint: str = "") -> dict[str, Any]:
    """Return the OpenAPI document that was fetched, or the one made from a GraphQL schema.

    Raises:
        ConfigError: It cannot be read.
    """
    if not graphql:
        return read(fetched.data, fetched.name, fetched.near)
    return document_of(fetched.data, fetched.name, endpoint or (fetched.url if not _is_file(fetched.url) else ""))


def _download(url: str, body: bytes = b"", within: str = "") -> bytes:
    """Return what is at an address, wherever it is redirected to; with ``within``, only at this origin."""
    from kosmolua.http.transport import Transport

    ends = time.monotonic() + FETCH_TIMEOUT
    transport = Transport(max_bytes=MAX_BYTES)
    try:
        for _ in range(MAX_REDIRECTS + 1):
            if not (url.startswith("https://") or LOOPBACK.match(url)):
                hint = "use https; http is allowed only for this machine"
                raise ConfigError(f"{url} cannot be fetched: it is not an https address", hint=hint)
            address = urlsplit(url)._replace(fragment="").geturl()
            request = Request("GET", address, headers=_ACCEPT)
            if body:
                headers = {**_ACCEPT, "Content-Type": "application/json"}
                request = Request("POST", address, headers=headers, body=body, declared_safe=True)
            response = transport.send(request, until=lambda: ends)
            target = location(request, response) if response.status in (301, 302, 303, 307, 308) else ""
            came = target or (response.request.url if response.request else url)
            if within and origin(came) != within:
                raise ConfigError(f"{url} was redirected to {origin(came)}, which is at another host than the document")
            if not target:
                return _content(url, response)
            url = target
    except NetworkError as error:
        raise ConfigError(f"{url} cannot be fetched: {error.what}") from None
    finally:
        transport.close()
    hint = "download the document, and pass the file"
    raise ConfigError(f"{url} was redirected more than {MAX_REDIRECTS} times", hint=hint)


_ACCEPT = {"Accept": "application/json, application/yaml, */*"}


def _content(url: str, response: Response) -> bytes:
    if not response.is_success:
        hint = "give an address that needs no login, or download the document and pass the file"
        raise ConfigError(f"{url} cannot be fetched: the server answered {response.status}", hint=hint)
    return response.body


@dataclass(frozen=True)
class Wishes:
    """The options that a user sets for an import.

    Args:
        name: The name of the integration; empty to derive a name from the document.
        onto: The installed integration to which the document adds functions; empty to make a new integration.
        auth: How requests authenticate: one of :data:`AUTH`; empty to follow the document.
        base_url: The base URL of the service; empty to use the document's.
        only: Patterns for the operations to import, such as ``/pets/*``. A word without punctuation is a tag.
        base: A text to append to the new ``openapi.toml``.
        origins: Further addresses to which the account's credential may be sent.
        prefix: The word before a key in a header, perhaps none; None to follow the document.
        graphql: Whether the document is a GraphQL schema; the base URL is then the address of its service.
    """

    name: str = ""
    onto: str = ""
    auth: str = ""
    base_url: str = ""
    only: Sequence[str] = ()
    base: str = ""
    origins: Sequence[str] = ()
    prefix: str | None = None
    graphql: bool = False


@dataclass(frozen=True)
class Import:
    """A compiled document, ready to be written as an integration.

    Args:
        name: The name of the integration.
        folder: Its folder's name; ``NAME.onto`` if the document extends an installed integration.
        root: The document.
        overlay: The text of the overlay.
        result: The compiled document.
        size: The size of the document, in bytes.
        seconds: The processor time for reading and compiling it.
    """

    name: str
    folder: str
    root: dict[str, Any]
    overlay: str
    result: Compiled
    size: int
    seconds: float

    def write(self, parent: Path) -> list[Path]:
        """Write the files into a folder of ``parent``, and return their paths.

        Raises:
            ConfigError: The files cannot be written.
        """
        folder = parent / self.folder
        texts = self.texts()
        if not self.folder.endswith(".onto"):
            texts["__init__.py"] = _MODULE.format(title=self.result.title.replace('"', "'").replace("\\", "/") + ".")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in texts.items():
                replace_file(folder / name, text.encode(), is_private=False)
            with suppress(OSError):  # without a writable cache, each process compiles the document in memory
                write(self.result, self.root, Home.of_folder(folder).compiled())
            return [folder / name for name in texts]
        except OSError as error:
            raise ConfigError(f"{folder} cannot be written: {error.strerror}") from None

    def texts(self) -> dict[str, str]:
        """Return the texts of the three files, by name."""
        return {
            DOCUMENT: json.dumps(self.root, ensure_ascii=False),
            OVERLAY: self.overlay,
            LOCK: write_lock(self.result.names),
        }

    def lines(self) -> list[str]:
        """Return what the document contains, and where credentials will be sent, for the user."""
        result = self.result
        effects = Counter(each.effect for each in result.functions)
        counts = ", ".join(f"{effects[effect]:,} {effect}" for effect in EFFECTS if effects[effect])
        functions = _counted(len(result.functions), "function")
        sections = _counted(len({each.section for each in result.functions}), "section")
        files = len(self.root.get(FILES, ()))
        took = f"{self.size / MIB:.1f} MB{f' and {files:,} more files' if files else ''} read in {self.seconds:.1f} s"
        lines = [f"{self.name}: {functions} in {sections} ({counts}), {took}"]
        carried = self._carried()
        if carried:
            lines.append(f"  sends {carried} to {', '.join(self._origins()) or 'the base_url of the account'}")
        if self.header:
            lines.append(f"  sends it as {self.header}, since the document describes it so")
        for place, count in elsewhere(result).items():
            how = f", which --origin {place} allows" if is_protected(place) else ""
            lines.append(f"  refuses calls at {place} ({count:,} of the functions){how}")
        if result.access.logins and not self.folder.endswith(".onto"):
            lines.append(f"  accounts log in at {' and '.join(result.access.logins)}")
        if session := result.access.session:
            lines.append(f"  session(...) takes the result of {' or '.join(session['logins']) or 'a call'}")
        lines.append(f"  {_paging(result.functions)}")
        if result.doubles:
            lines.append(
                f"  {len(result.doubles):,} actions are declared as GET and as POST; the function sends the POST"
            )
        left = result.total - len(result.functions) - len(result.doubles)
        lines.append(f"  {left:,} operations left out, {len(result.notes):,} notes" + (":" if result.notes else ""))
        lines += [f"    {note}" for note in result.notes[:MAX_SHOWN]]
        if found := raised(result):
            how = "acts or deletes by its name" if len(found) == 1 else "act or delete by their names"
            said = f"{_counted(len(found), 'function')} {how}, whatever the method"
            lines.append(f"  {said}: {', '.join(found[:3])}{', ...' if len(found) > 3 else ''}")
        if found := proposed(result):
            lines.append(
                f"  counted as writes, but may only read by their names: {', '.join(found[:3])} ({len(found):,} in all)"
            )
            lines.append("    (--effects accept makes them reads, as does [effects] in openapi.toml)")
        return lines

    @property
    def header(self) -> str:
        """The header with the key, such as ``Authorization: Token KEY``, if only the document's prose has its word."""
        own = [] if self.folder.endswith(".onto") else self.result.access.alternatives[:1]
        every = (each for credentials in own for each in credentials if each.kind == "header" and each.about)
        return next((f"{each.name}: {each.shown('KEY')}" for each in every if each.prefix), "")

    @property
    def proposals(self) -> list[str]:
        """The functions that count as writes but may only read."""
        return proposed(self.result)

    def with_reads(self) -> Import:
        """Return the import with all proposals accepted: these functions are reads, and the overlay says so."""
        names = self.proposals
        if not names or "[effects]" in self.overlay:
            return self
        reading = frozenset(names)
        functions = [replace(each, effect="read") if each.name in reading else each for each in self.result.functions]
        listed = "".join(f"    {json.dumps(name)},\n" for name in names)
        overlay = f"{self.overlay}\n[effects]\nread = [\n{listed}]\n"
        return replace(self, result=replace(self.result, functions=functions), overlay=overlay)

    def _origins(self) -> list[str]:
        """Return the origins that get credentials, with ``{name}`` for variables of the base URL."""
        access = self.result.access
        if not access.variables or not access.origins:
            return access.origins
        scheme, _, rest = access.base_url.partition("://")
        return [f"{scheme}://{rest.partition('/')[0]}", *access.origins[1:]]

    def _carried(self) -> str:
        if self.folder.endswith(".onto"):
            return "the account's credential"
        access = self.result.access
        every = [each for credentials in access.alternatives[:1] for each in credentials]
        if any(each.kind == "signature" for each in every):
            return "signatures by your access key"
        names = {name for each in every for name in each.fields}
        names |= {each.field for each in access.variables if each.secret}
        names |= {each.field for each in access.settings if each.secret}
        return "your " + " and ".join(sorted(name.replace("_", " ") for name in names)) if names else ""


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else f'{noun}s'}"


def _paging(functions: Sequence[Built]) -> str:
    kinds = Counter(each.recipe.kind for each in functions if each.recipe)
    if not kinds:
        return "no list is paged according to the document"
    said = ", ".join(f"{count:,} by {KINDS[kind].way}" for kind, count in kinds.most_common())
    count = sum(kinds.values())
    return f"{count:,} {'list has' if count == 1 else 'lists have'} all = true: {said}"


def remove(folder: Path) -> bool:
    """Remove the files of an import, and its folder, unless it has others: then return False.

    Raises:
        ConfigError: A file cannot be removed.
    """
    try:
        for name in ("__init__.py", DOCUMENT, OVERLAY, LOCK):
            (folder / name).unlink(missing_ok=True)
        rmtree(folder / "__pycache__", ignore_errors=True)
        if any(folder.iterdir()):
            return False
        folder.rmdir()
        return True
    except OSError as error:
        raise ConfigError(f"{folder} cannot be removed: {error.strerror}") from None


def prepare(fetched: Fetched, wishes: Wishes, taken: Sequence[str] = ()) -> Import:
    """Read and compile a fetched document, for a name that is not ``taken``. Nothing is written.

    Raises:
        ConfigError: The document cannot be read, or an option is invalid.
        UsageError: The integration's name is invalid or in use; or a base URL or a credential is neither in the
            document nor in the options.
    """
    started = time.process_time()
    root = document_in(fetched, graphql=wishes.graphql, endpoint=wishes.base_url)
    name = wishes.onto or wishes.name or fetched.stem or snake(str(table(root.get("info")).get("title", "")))
    if not wishes.onto:
        _check_name(name, taken)
    for url in wishes.origins:
        if not is_protected(url):
            hint = "name an https address, or one on this machine, such as --origin https://files.example.com"
            raise UsageError(f"{url} cannot get a credential", hint=hint)
    text = _overlay_text(fetched, wishes, root, wishes.origins)
    result = compiled(root, Overlay(OVERLAY, parsed(text, OVERLAY)))
    if not wishes.onto:
        _check_access(result, wishes, name)
    text = _overlay_text(fetched, wishes, root, result.access.origins)
    folder = f"{name}.onto" if wishes.onto else name
    return Import(name, folder, root, text, result, len(fetched.data), time.process_time() - started)


def _check_name(name: str, taken: Sequence[str]) -> None:
    if objection := objection_to_integration(name):
        raise UsageError(f"The integration cannot be called {name!r}", hint=f"{objection}; choose a name with --name")
    if name in taken:
        hint = (
            f"choose another name with --name, or add the document's functions to that integration with --onto {name}"
        )
        raise UsageError(f"There is already an integration called {name}", hint=hint)


def _check_access(result: Compiled, wishes: Wishes, name: str) -> None:
    access = result.access
    if not access.base_url:
        hint = "give the base URL with --base-url, such as --base-url https://api.example.com/v1"
        raise UsageError(f"The OpenAPI document of {name} has no base URL with https", hint=hint)
    signed = [one for each in access.alternatives for one in each if one.kind == "signature"]
    if signed and len(signed) == sum(map(bool, access.alternatives)):
        what = f"The requests of {name} have to be signed, as by AWS"
        if not signed[0].name:
            hint = "name it with --auth aws:SERVICE, such as --auth aws:execute-api, or choose another credential"
            raise UsageError(f"{what}, but the document does not say for which service", hint=hint)
        if find_spec("botocore") is None:
            hint = "pip install 'kosmolua[aws]', or choose another credential with --auth"
            raise UsageError(f"{what}, which needs the package boto3; nothing was imported", hint=hint)
    secrets = any(each.secret for each in access.variables) or any(each.secret for each in access.settings)
    if not access.alternatives and not secrets and not wishes.auth:
        hint = f"choose how requests authenticate with --auth {'|'.join(AUTH)}"
        raise UsageError(f"The OpenAPI document of {name} does not say how requests authenticate", hint=hint)


def _overlay_text(fetched: Fetched, wishes: Wishes, root: Mapping[str, Any], origins: Sequence[str]) -> str:
    base_url = wishes.base_url.rstrip("/") or relative_server(fetched, root)
    only = [each if re.search(r"[:/*\s]", each) else f"tag:{each}" for each in wishes.only]
    came = {"url": fetched.url} if fetched.url else {"file": fetched.source} if fetched.source != "-" else {}
    document: dict[str, object] = {**came, "sha256": sha256(fetched.data).hexdigest()}
    document["imported"] = date.today().isoformat()
    if origins:
        document["origins"] = list(dict.fromkeys(map(origin, origins)))
    account = {key: value for key, value in (("auth", wishes.auth), ("base_url", base_url)) if value}
    account |= {} if wishes.prefix is None else {"prefix": wishes.prefix}
    parts = [_HEAD + (assignments({"only": only}) if only else "")]
    parts += [f"[document]\n{assignments(document)}"]
    parts += [f"[account]\n{assignments(account)}"] if account and not wishes.onto else []
    parts += [f"[graphql]\n{assignments({'path': ''})}"] if wishes.graphql else []
    parts += [wishes.base.strip() + "\n"] if wishes.base.strip() else []
    return "\n".join(parts)


def relative_server(fetched: Fetched, root: Mapping[str, Any]) -> str:
    """Return the base URL if the document gives it relative to its own address; else empty."""
    url = text(next(map(table, rows(root.get("servers"))), {}).get("url"))
    is_relative = url.startswith("/") and "{" not in url
    return urljoin(fetched.url, url).rstrip("/") if fetched.url and is_relative else ""


@dataclass(frozen=True)
class Changes:
    """The changes from an imported document to its newest version.

    Args:
        added: The names of new functions.
        gone: The names of functions that no longer exist.
        changed: The differences in arguments, by function.
        origins: The origins that now first get credentials.
        logins: The origins that accounts now first log in to.
        update: The new version, ready to be written.
    """

    added: list[str]
    gone: list[str]
    changed: dict[str, str]
    origins: list[str]
    logins: list[str]
    update: Import

    def __bool__(self) -> bool:
        return bool(self.added or self.gone or self.changed or self.origins or self.logins)

    def lines(self) -> list[str]:
        """Return what changes for the user: new (``+``), gone (``-``) and changed (``~``) functions."""
        counts = (
            f"{len(self.added)} new, {len(self.gone)} gone, {len(self.changed)} with changed arguments, none renamed"
        )
        lines = [f"{self.update.name}: {counts}"]
        for sign, names in (("+", self.added), ("-", self.gone)):
            lines += [f"  {sign} {name}" for name in names[:MAX_SHOWN]] + _more(names)
        lines += [f"  ~ {name}: {what}" for name, what in [*self.changed.items()][:MAX_SHOWN]]
        lines += _more([*self.changed])
        lines += [f"  ! sends your credential to {each}, which it did not before" for each in self.origins]
        for place, count in elsewhere(self.update.result).items():
            lines.append(f"  refuses calls at {place} ({count:,} of the functions; see origins in openapi.toml)")
        lines += [f"  ! accounts log in at {each}, where they did not before" for each in self.logins]
        return lines


def _more(names: Sequence[str]) -> list[str]:
    return [f"    and {len(names) - MAX_SHOWN:,} more"] if len(names) > MAX_SHOWN else []


def update(folder: Path, read_stdin: Callable[[], bytes], source: str = "") -> Changes:
    """Fetch an imported document again, from ``source`` if it is not empty, and return the changes. Nothing is written.

    Raises:
        ConfigError: The document cannot be fetched, a file cannot be read, or the document came from standard input
            and ``source`` is empty.
    """
    overlay = read_overlay(str(folder / OVERLAY))
    came = str(overlay.table("document").get("url", overlay.table("document").get("file", "")))
    if not (source or came):
        what = f"The document of {folder.name} came from standard input, so it cannot be fetched again"
        raise ConfigError(what, hint="add the file or address of the new version to the command")
    before = read((folder / DOCUMENT).read_bytes(), str(folder / DOCUMENT))
    kept = read_lock((folder / LOCK).read_text(encoding="utf-8"))
    old = compiled(before, overlay, kept)
    started = time.process_time()
    graphql = "graphql" in overlay.tables
    fetched = fetch(source or came, read_stdin, graphql=graphql)
    root = document_in(fetched, graphql=graphql, endpoint=str(overlay.table("account").get("base_url", "")))
    further = [each for each in overlay.table("document").get("origins", ()) if each not in old.access.origins[:1]]
    new = compiled(root, Overlay(overlay.file, {**overlay.tables, "document": {"origins": further}}), kept)
    text = _redated((folder / OVERLAY).read_text(encoding="utf-8"), fetched, new)
    name = folder.name.removesuffix(".onto")
    took = time.process_time() - started
    ready = Import(name, folder.name, root, text, new, len(fetched.data), took)
    return _changes(old, new, ready, overlay)


def _changes(old: Compiled, new: Compiled, ready: Import, overlay: Overlay) -> Changes:
    before = {each.name: each for each in old.functions}
    after = {each.name: each for each in new.functions}
    changed = {name: _difference(before[name], after[name]) for name in after if name in before}
    known = overlay.table("document").get("origins", old.access.origins)
    own = [] if overlay.table("account").get("base_url") else [each for each in new.access.origins if each not in known]
    return Changes(
        [name for name in after if name not in before],
        [name for name in before if name not in after],
        {name: what for name, what in changed.items() if what},
        own,
        [each for each in new.access.logins if each not in old.access.logins],
        ready,
    )


def _difference(old: Built, new: Built) -> str:
    """Return a phrase on the arguments that are new, removed or now required."""
    before = {each.name: each.required for each in old.operation.fields}
    after = {each.name: each.required for each in new.operation.fields}
    parts = [f"+{name}" for name in after if name not in before] + [f"-{name}" for name in before if name not in after]
    parts += [f"{name} is required now" for name, must in after.items() if must and before.get(name) is False]
    return ", ".join(parts[:MAX_SHOWN])


def _redated(text: str, fetched: Fetched, new: Compiled) -> str:
    """Return the overlay's text with hash, date and origins of the new version."""
    fresh: dict[str, object] = {"sha256": sha256(fetched.data).hexdigest(), "imported": date.today().isoformat()}
    fresh["origins"] = new.access.origins
    for key, value in fresh.items():
        line = assignments({key: value}).strip()
        text = re.sub(rf"(?m)^{key}\s*=.*$", lambda _, line=line: line, text, count=1)  # type: ignore[misc]
    return text


def findings(
    root: dict[str, Any], overlay: Overlay, kept: Mapping[str, str], registered: Collection[str] = ()
) -> tuple[list[str], list[str]]:
    """Return the mistakes in an overlay, and notes about parts of the document that deserve attention.

    ``registered`` are the functions that the plugin defines, which ``covered_by`` can name.

    Raises:
        ConfigError: The overlay gives two functions the same name, or names an argument that does not exist.
    """
    result = compiled(root, overlay, kept)
    every = list(read_operations(Document(root)))
    names = result.names
    wrong = overlay.unmatched((each, names.get(each.key, "")) for each in every)
    for each in result.covered:
        if each.by not in registered:
            hint = did_you_mean(each.by, registered)
            sentence = f"{each.key}: covered_by = {each.by!r} names no registered function"
            wrong.append(f"{sentence} ({hint})" if hint else sentence)
    return wrong, result.notes + [
        f"{name} writes according to its HTTP method, but its name suggests that it only reads: if so, set "
        "its effect in openapi.toml"
        for name in proposed(result)
    ]
