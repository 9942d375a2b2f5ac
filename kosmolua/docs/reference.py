"""Reference pages, made from the functions of an integration and from Markdown that the integration's author wrote.

The Markdown has a title, an introduction, and sections. If the heading of a section is the name of a function, the
section is added to the description of the function. Other sections come after the functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kosmolua.docs import markdown, outline
from kosmolua.docs.markdown import MarkdownText
from kosmolua.docs.pages import Page
from kosmolua.docs.sections import THEIR_WORDS, listed, shown
from kosmolua.docs.signatures import MAX_SPELLED_KEYS, named, typed
from kosmolua.schema import luacats
from kosmolua.schema.arguments import Parameter
from kosmolua.schema.function import Function
from kosmolua.schema.integration import Integration
from kosmolua.schema.luacats import description, is_compound, label, prose
from kosmolua.schema.names import lua_path, page_of, root_and_name
from kosmolua.schema.types import Record, Type

MAX_READ_PAGE = 5800
"""The most characters of the page of a function from an OpenAPI document."""
MAX_OTHERS = 1500
"""The most characters for the names of parameters that are not described."""
_DEGREES = [(1000, 0, 2500), (20, 600, 2500), (20, 200, 2500), (20, 160, 1000), (14, 120, 0), (10, 80, 0), (6, 40, 0)]
"""The sizes that are tried for the page of a function from an OpenAPI document, the largest first.

Each size has three numbers: how many parameters are described, the most characters of each description, and the most
characters of the declarations of types.
"""
PARAMETER_COLUMNS = ("Name", "Type", "Required", "Description")
MANY = 12
"""The page of a function from an OpenAPI document with more parameters than this describes the usual ones first."""
_USUAL_WORDS = """
all body content cursor description fields filter filters from ids limit max_items message name offset order page
page_size per_page q query search size sort state status subject text title to type
"""
_USUAL = frozenset(_USUAL_WORDS.split())
"""Parameters that calls often pass."""
_HEADINGS = {"Raises": "Errors"}


@dataclass(frozen=True)
class IntegrationPage(Page):
    """The page of an integration, with the author's Markdown ``document``."""

    poorer = ("condensed", "outlined", "signatures", "brief")

    integration: Integration
    accounts: Sequence[str]
    are_simulated: bool
    document: MarkdownText

    @property
    def name(self) -> str:
        return page_of(self.integration.name)

    @property
    def smaller(self) -> str:
        return f"{self.name}.FUNCTION"

    def full(self) -> str:
        """Return an overview, each function, the author's other sections, and the types of results."""
        functions = self._functions
        return _joined(
            f"# {self.document.title or self.integration.name}",
            self.opening(),
            self.document.introduction,
            f"## Functions\n\n{_contents(functions)}" if functions else "",
            *(f"## {each.name}\n\n{_body(self.integration, each, self.document)}" for each in functions),
            *(f"## {heading}\n\n{body}" for heading, body in self._other_sections()),
            self._of_document(),
            _records(functions, self.integration.name),
        )

    def _of_document(self) -> str:
        lines = listed(outline.outline_of(self.integration))
        return f"## Functions from the service's document\n\n{THEIR_WORDS}\n\n" + "\n".join(lines) if lines else ""

    def _rest(self) -> str:
        """Return a sentence on how many functions the OpenAPI document adds, and how to find them; empty if none."""
        count = len(listed(outline.outline_of(self.integration)))
        how = f"`{self.name}` with detail brief lists them, and lua_search_docs finds them"
        return f"{count} more call the other operations in the service's document: {how}." if count else ""

    def condensed(self) -> str:
        """Return the author's introduction, the signatures, and the types in them."""
        results = [function.returns for function in self._functions if function.returns]
        records = luacats.records_by_depth(field for kind in results for field in _spelled_in_signature(kind))
        types = "\n\n".join(luacats.record_class(record, self.integration.name) for record in records)
        return _joined(
            self._head(),
            self.document.introduction,
            f"## Functions\n\n{self._signed()}",
            self._rest(),
            types and f"## Types\n\n{markdown.fenced(types, 'lua')}",
        )

    def outlined(self) -> str:
        """Return the author's introduction, and the signatures without types."""
        calls = "\n".join(f"- `{named(each)}` {_effect_and_summary(each)}" for each in self._functions)
        return _joined(self._head(), self.document.introduction, f"## Functions\n\n{calls}", self._rest())

    def types(self) -> str:
        return _joined(self._head(), _declarations(self._functions, self.integration), self._of_document())

    def signatures(self) -> str:
        return _joined(self._head(), self._signed(), self._of_document())

    def _signed(self) -> str:
        return "\n".join(f"- `{typed(each)}` {_effect_and_summary(each)}" for each in self._functions)

    def brief(self) -> str:
        lines = [f"- `{each.name}` {_effect_and_summary(each)}" for each in self._functions]
        return _joined(self._head(), "\n".join(lines), self._of_document())

    @property
    def _functions(self) -> Sequence[Function]:
        return list(self.integration.functions.own.values())

    def _head(self) -> str:
        return f"# {self.name}\n\n{self.opening()}"

    def opening(self) -> str:
        """Return what the integration is for, its number of functions, and its accounts."""
        path = lua_path(self.integration.name)
        prefix = self.integration.prefix
        counts = f"`{path}` has {outline.outline_of(self.integration).counts}."
        full_names = f" Full names start with `{prefix}_`." if prefix else ""
        return f"{self.integration.about}\n\n{counts}{full_names} {self._known_accounts()}"

    def _known_accounts(self) -> str:
        if self.integration.is_flat:
            return "A script needs no account: each call in it uses an account of the integration that is called."
        names = ", ".join(f"`{account}`" for account in self.accounts)
        kind = "Simulated accounts" if self.are_simulated else "Accounts"
        return f"{kind}: {names}." if names else "No account yet: `kosmolua accounts example` prints what to add."

    def _other_sections(self) -> list[tuple[str, str]]:
        sections = self.document.sections.items()
        return [(heading, body) for heading, body in sections if not self.integration.function(heading)]


@dataclass(frozen=True)
class _Room:
    """How many parameters the page of a function describes, and with how many characters each; 0 for no limit."""

    parameters: int = 1000
    words: int = 0


@dataclass(frozen=True)
class FunctionsPage(Page):
    """The page of one or more functions of an integration. Types that they share are shown once."""

    integration: Integration
    names: Sequence[str]
    document: MarkdownText

    @property
    def name(self) -> str:
        return ", ".join(page_of(self.integration.name, name) for name in self.names)

    @property
    def _functions(self) -> list[Function]:
        return [self.integration.functions[name] for name in self.names]

    def full(self) -> str:
        """Return the description of each function, and then the types of their results."""
        functions = self._functions
        own = [each for each in functions if each.name in self.integration.functions.own]
        read = [each for each in functions if each.name not in self.integration.functions.own]
        bodies = [self._whole(each, _body(self.integration, each, self.document)) for each in own]
        return _joined(*bodies, _records(own, self.integration.name), *map(self._within, read))

    def _whole(self, function: Function, body: str) -> str:
        return f"# {self._path(function)}\n\n{markdown.raised(body)}"

    def _within(self, function: Function) -> str:
        """Describe a function from an OpenAPI document, with as many details as fit on a page."""
        in_order = sorted(function.parameters, key=lambda each: (not each.required, each.name not in _USUAL))
        if len(in_order) > MANY:
            function = replace(function, parameters=tuple(in_order))
        for parameters, words, records in _DEGREES:
            body = _body(self.integration, function, self.document, _Room(parameters, words))
            records_shown = _first_records(function, self.integration.name, records)
            text = _joined(self._whole(function, body), records_shown)
            if len(text) <= MAX_READ_PAGE:
                break
        return text

    def types(self) -> str:
        title = ", ".join(map(self._path, self._functions))
        return _joined(f"# {title}", _declarations(self._functions, self.integration))

    def signatures(self) -> str:
        prefix = lua_path(self.integration.name)
        return "\n".join(f"`{prefix}.{typed(each)}` {_effect_and_summary(each)}" for each in self._functions)

    def brief(self) -> str:
        return "\n".join(f"`{self._path(each)}` {_effect_and_summary(each)}" for each in self._functions)

    def _path(self, function: Function) -> str:
        return lua_path(self.integration.name, function.name)


def _spelled_in_signature(kind: Type) -> Sequence[Type]:
    """Return the types that a signature mentions for a result: those of a small record's keys, else the type itself."""
    if isinstance(kind, Record) and len(kind.fields) <= MAX_SPELLED_KEYS:
        return list(kind.fields.values())
    return [kind]


def _contents(functions: Sequence[Function]) -> str:
    rows = [(f"`{function.name}`", function.effect, prose(function.summary)) for function in functions]
    return markdown.table(("Function", "Effect", "Summary"), rows)


def _body(integration: Integration, function: Function, document: MarkdownText, room: _Room | None = None) -> str:
    text, sections = markdown.split(prose(function.doc))
    returns = _returns(function, integration.name, sections.pop("Returns", ""))
    short = f"; in permissions also `{integration.name}.{function.name}`" if function.full_name != function.name else ""
    written = document.sections
    return _joined(
        text,
        f"Effect: {function.effect}. Full name: `{integration.name}.{function.full_name}`{short}.",
        f"### Parameters\n\n{_parameters(function.parameters, integration.name, room or _Room())}",
        returns and f"### Returns\n\n{returns}",
        *(f"### {_HEADINGS.get(name, name)}\n\n{section}" for name, section in sections.items()),
        written.get(function.name) or written.get(function.full_name, ""),
    )


def _parameters(parameters: Sequence[Parameter], namespace: str, room: _Room) -> str:
    if len(parameters) > room.parameters:
        others = shown([each.name for each in parameters[room.parameters :]], MAX_OTHERS)
        return f"{_parameters(parameters[: room.parameters], namespace, room)}\n\nIt also takes {others}."
    rows = [_row(parameter, namespace) for parameter in parameters]
    if room.words:
        rows = [(*row[:-1], _cut(row[-1], room.words)) for row in rows]
    return markdown.table(PARAMETER_COLUMNS, rows) if rows else "None."


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most].rpartition(' ')[0]}..."


def _row(parameter: Parameter, namespace: str) -> tuple[str, ...]:
    kind = parameter.type
    spelling = kind.spell(namespace, "string") if is_compound(kind) else ""
    about = description(parameter, spelling=spelling)
    return f"`{parameter.name}`", label(kind), "yes" if parameter.required else "no", about


def _returns(function: Function, namespace: str, text: str) -> str:
    is_told = bool(text) and function.returns and not any(luacats.records_by_depth([function.returns]))
    spelled = luacats.returned(function, namespace)
    return _joined(text, "" if is_told or spelled == "any" else f"Type: `{spelled}`.")


def _first_records(function: Function, namespace: str, most: int) -> str:
    """Return the declarations of the records that a function takes or returns."""
    declared: list[str] = []
    left: list[str] = []
    kinds = [parameter.type for parameter in function.parameters]
    for record in luacats.records_by_depth([*([function.returns] if function.returns else []), *kinds]):
        text = luacats.record_class(record, namespace)
        if sum(map(len, declared)) + len(text) <= most and not left:
            declared.append(text)
        else:
            left.append(record.name)
        if left and "." not in left[-1]:
            break
    if not declared and not left:
        return ""
    where = page_of(namespace, "types", left[-1]) if left else ""
    more = f"Others have pages of their own, such as `{where}`." if left else ""
    types = markdown.fenced("\n\n".join(declared), "lua") if declared else ""
    return _joined("## Types", types, more)


def _records(functions: Sequence[Function], namespace: str) -> str:
    records = "\n\n".join(luacats.record_types(functions, namespace))
    return records and f"## Types\n\n{markdown.fenced(records, 'lua')}"


def _declarations(functions: Sequence[Function], integration: Integration) -> str:
    _, name = root_and_name(integration.name)
    stubs = [luacats.function_stub(function, name, name) for function in functions]
    types = [*luacats.argument_types(functions, name), *luacats.record_types(functions, name)]
    holder = f"local {name} = {{}} -- {lua_path(integration.name)}, and each of its accounts"
    return markdown.fenced("\n\n".join([*types, holder, *stubs]), "lua")


def _effect_and_summary(function: Function) -> str:
    return f"({function.effect}): {prose(function.summary)}"


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
