"""Finds out what is known, before a script runs, about the fields of ``app``, of libraries, and of function results.

``app`` is the global table through which scripts call the functions of integrations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import Any, NamedTuple, Protocol

from kosmolua.check.findings import SETUP, Findings, Mode
from kosmolua.errors import ConfigError, KosmoError, NotConfigured, PluginError, PluginFault
from kosmolua.lua import idioms
from kosmolua.lua.environment import ERROR_CODES, ERROR_KEYS, LIBRARIES, STRING_METHODS
from kosmolua.lua.scopes import Scopes
from kosmolua.lua.syntax import Node, keys_of, string_of
from kosmolua.lua.values import (
    ID,
    UNKNOWN,
    Absent,
    Branch,
    Builtin,
    Callee,
    Literal,
    Missing,
    Nil,
    Result,
    Secrets,
    StdLib,
    Value,
    choices_of,
    depends,
    field_of,
    id_of,
    is_builtin,
    is_list,
    is_optional,
    is_table,
    is_text,
    item_in,
    items_of,
    kind_of,
    lists_in,
    near_field,
    near_key,
    record_keys,
    snake,
)
from kosmolua.schema.effects import gravest
from kosmolua.schema.function import Function
from kosmolua.schema.integration import Integration
from kosmolua.schema.names import FLAT, SERVERS, lua_path, qualified, root_and_name
from kosmolua.schema.types import ANY, NUMBER, STRING, Record, Type
from kosmolua.suggestions import did_you_mean, listed

MAX_KEYS = 24
"""A message names at most this many keys of a result."""
TRUNCATED = "truncated"
"""The only named key of a returned list, and one that any page of a document can have: ``max_items`` left items out."""
CODE = "the code of an error"
"""What messages call the code of an error."""
ERROR_FIELDS: dict[str, Type] = {
    **dict.fromkeys(("code", "message", "hint", "param", "request_id", "path", "account"), STRING),
    **dict.fromkeys(("status", "retry_after"), NUMBER),
    **dict.fromkeys(("retryable", "body"), ANY),
}
"""The fields of the error that a failed call raises, each with its type."""
NOUN = {"string": "text", "number": "number", "boolean": "boolean", "table": "table", "function": "function"}
_EACH_ITEM = "go through the list with ipairs, and compare a field of each item"


class Charge(NamedTuple):
    """An effect that a script can have on a service; the account is ``*`` if the script computes its name."""

    effect: str
    path: str
    account: str


class TargetView(Protocol):
    """What a path such as ``render2.production.list_services`` leads to."""

    @property
    def account(self) -> str: ...


class CatalogView(Protocol):
    """What the check asks the catalog; :class:`kosmolua.catalog.catalog.Catalog` says what its methods do."""

    def names(self) -> Sequence[str]: ...
    def roots(self) -> Sequence[str]: ...
    def listed(self, name: str) -> Integration: ...
    def accounts(self, name: str) -> Sequence[str]: ...
    def resolve(self, path: str) -> TargetView: ...


class Fields:
    """Finds out what is known about the fields of tables, and collects the effects that the script can have.

    ``unconfigured`` contains, by line and column, the errors of calls that use an account that is not configured or has
    invalid settings, or that use an integration that cannot be loaded.
    """

    def __init__(self, catalog: CatalogView, scopes: Scopes, findings: Findings) -> None:
        self._charges: dict[int, Charge] = {}
        self.unconfigured: dict[str, ConfigError | NotConfigured | PluginFault] = {}
        self._told: set[tuple[str, ...]] = set()
        self._catalog = catalog
        self._listed = cache(catalog.listed)
        self._scopes = scopes
        self._findings = findings

    @property
    def bill(self) -> list[Charge]:
        """The effects of all functions that the script names, each once."""
        return [*dict.fromkeys(self._charges.values())]

    @property
    def _charged(self) -> set[str]:
        """The integrations whose functions the script names."""
        return {charge.path.rpartition(".")[0] for charge in self.bill}

    def under(self, node: Node, value: Value, key: str | None) -> Value:
        """Return what is known about a field of a table, and add a finding if there is no such field."""
        if isinstance(value, Nil):
            self._findings.fail_on_nil(node.get("table") or node, value, "index")
        elif isinstance(value, Branch):
            return self._under_app(node, value, key)
        elif isinstance(value, Secrets):
            self._check_secret(node, value, key)
        elif isinstance(value, Callee):
            hint = f"call it: {(node.get('table') or node).text}({{ ... }}).{key or 'name'}"
            self._findings.fail(node, f"{value.path} is a function, but is not called here", hint)
        elif key is None or key in self._scopes.fields:
            return UNKNOWN
        elif isinstance(value, StdLib):
            if key in LIBRARIES[value.name]:
                return Builtin(f"{value.name}.{key}")
            if value.name in self._scopes.escaping:
                return UNKNOWN
            there = f"it has {listed(sorted(LIBRARIES[value.name]), MAX_KEYS)}"
            foreign = idioms.OF_LIBRARIES.get(f"{value.name}.{key}") or idioms.FIELDS.get(key)
            hint = foreign or did_you_mean(key, LIBRARIES[value.name]) or there
            return Missing(f"'{value.name}.{key}'", hint)
        elif isinstance(value, Result):
            return self._under_result(node, value, key)
        elif isinstance(value, Literal) and value.kind == "string" and self._is_no_method(key):
            return Missing(f"'{key}' of a text", idioms.FIELDS.get(key, ""), "text")
        elif isinstance(value, Literal) and value.kind == "string" and key in STRING_METHODS:
            return Builtin(f"text:{key}")
        elif is_builtin(value, "arg"):
            hint = f"the first argument is arg[1]; a line ---@param {key} string at the top gives params.{key}"
            return Missing(f"'{key}' of arg", hint, "list")
        elif isinstance(value, Literal) and value.kind in ("number", "boolean"):
            is_place = value.node is not None and value.node.kind == "identifier"
            hint = "for _, item in ipairs(list) do: the first of the two is the index" if is_place else ""
            self._findings.fail(node, f"a {value.kind} has no '{key}'", hint or idioms.FIELDS.get(key, ""))
        elif isinstance(value, Literal) and value.kind == "table" and self._lacks_key(value.node, key):
            if key in idioms.FIELDS and value.node and len(value.node.children) > len(keys_of(value.node)):
                self._findings.warn(node, f"a list has no '{key}'", idioms.FIELDS[key])
            return Missing(f"'{key}' of this table", idioms.FIELDS.get(key, ""))
        return UNKNOWN

    def _check_secret(self, node: Node, secrets: Secrets, key: str | None) -> None:
        """Add a finding if the script looks up a secret that the run does not have."""
        if key is None or key in secrets.names:
            return
        there = f"there are {listed(secrets.names, MAX_KEYS)}" if secrets.names else secrets.way.format(name=key)
        hint = did_you_mean(key, secrets.names) or there
        mode = None if secrets.is_complete else Mode.POSSIBLE
        self._findings.fail(node, f"there is no secret called '{key}'", hint, mode=mode)

    def _lacks_key(self, table: Node | None, key: str) -> bool:
        """Return True if a table constructor does not have this key, and nothing in the script can add it."""
        if table is None or self._scopes.may_extend(table):
            return False
        return key not in keys_of(table) and not any(field.text.startswith("[") for field in table.children)

    def _is_no_method(self, key: str) -> bool:
        """Return True if strings have no method of this name, and the script cannot have added it."""
        return key not in STRING_METHODS and "string" not in self._scopes.escaping

    def is_plain_table(self, value: Value) -> bool:
        """Return True if a value is certainly nil or a table without a metatable."""
        if self._scopes.may_bend_tables:
            return False
        if isinstance(value, Result):
            return is_table(value.type) and not value.may_be_error
        return isinstance(value, Literal) and value.kind == "table"

    def look_up(self, node: Node, value: Value, index: Value) -> None:
        """Add a finding if a list is indexed by a text, or a table by a choice that none of its keys can be."""
        if isinstance(value, Result) and is_list(value.type) and not value.may_be_error and kind_of(index) == "string":
            self._findings.mistake(node, f"{value.source} is a list, and texts are no keys of it", _EACH_ITEM)
        self._look_up_own(node, value, kind_of(index))
        if not (isinstance(value, Literal) and value.kind == "table" and value.node and isinstance(index, Result)):
            return
        choices, keys = choices_of(index.type) or self.choices(index), keys_of(value.node)
        if not keys or len(keys) < len(value.node.children) or self._scopes.may_extend(value.node):
            return
        is_id = index.part_of is not None and index.part_of[1] == "id"
        if index.part_of and is_id and not self._is_asked_otherwise(node):
            functions = [each for name in self._charged for each in self._listed(name).functions.own.values()]
            _, example = id_of(index.part_of, functions)
            prefix = example.partition("-")[0] + "-"
            if ID.fullmatch(example) and not any(each.startswith(prefix) or ID.fullmatch(each) for each in keys):
                message = f"{index.source} is an id such as {example!r}, and no key of this table is one"
                self._findings.mistake(node, message, f"{(node.get('table') or node).text[:40]}[item.name]")
        if not choices:
            return
        wrong = [key for key in keys if key not in choices]
        for field, key in zip(value.node.children, keys, strict=True):
            near = did_you_mean(key, map(str, choices)) if key in wrong else None
            if key in wrong and (near or len(wrong) == len(keys)):
                hint = near or f"it is one of {listed(choices)}"
                self._findings.mistake(
                    node, f"{index.source} is never {key!r}", f"{hint}; the key is in line {field.line}"
                )

    def _is_asked_otherwise(self, node: Node) -> bool:
        """Return True if the script also looks up something else in a table, which may have several kinds of keys."""
        variable, own = self._scopes.variable(node.get("table")), node.get("field")
        names = self._scopes.names[variable] if variable else ()
        asked = (each.around.get("field") for each in names if each.around)
        return any(each and own and each.text != own.text for each in asked)

    def _look_up_own(self, node: Node, value: Value, kind: str) -> None:
        """Add a finding if a table of the script, which nothing else fills, has no key of a kind."""
        name = node.get("table")
        variable = self._scopes.variable(name) if name else None
        table = variable.table if variable and not (variable.fills or variable.changes) else None
        other = {"string": "number", "number": "string"}.get(kind, "")
        if not other or not variable or not table or not isinstance(value, Literal) or table is not value.node:
            return
        if {_kind_of_key(field) for field in table.children} == {other} and not self._scopes.may_extend(table):
            is_list = not any(field.get("name") for field in table.children)
            hint = 'a set has them as keys, as in { ["api"] = true }' if is_list else f"to{other}(...) converts a key"
            what = "is a list, and texts are no keys of it" if is_list else f"has only {NOUN[other]}s as keys"
            self._findings.mistake(node, f"{variable.name} {what}", hint)

    def has_only_names(self, table: Node) -> bool:
        """Return True if a table constructor has only named keys, and nothing in the script can add a list item."""
        if not table.children or self._scopes.may_extend(table):
            return False
        return "table" not in self._scopes.globals and len(keys_of(table)) == len(table.children)

    def at(self, node: Node, value: Value, index: object) -> Value:
        """Return what is known about the list item at an index, and add findings about mistakes in the lookup."""
        if is_text(value.type) if isinstance(value, Result) else kind_of(value) == "string":
            self._findings.warn(node, "a text cannot be indexed by number", "text:sub(i, i) is one character")
        if not isinstance(value, Result):
            return UNKNOWN
        if isinstance(index, int) and index < 1 and is_list(value.type):
            hint = "the first is list[1]" if index == 0 else "the last is list[#list]"
            self._findings.warn(node, f"a list begins at 1, so there is nothing at {index}", hint)
            return UNKNOWN
        if record_keys(value.type) is not None:
            self.is_no_list(node, value, f"[{index}]")
        item = item_in(value)
        return item._replace(may_be_absent=True) if isinstance(item, Result) else item

    def is_no_list(self, node: Node, value: Result, use: str, *, fails: bool = False) -> None:
        """Add the finding that a record is used where a list is needed."""
        lists = lists_in(value.type)
        hint = f"the list is {node.text if node.kind == 'identifier' else 'result'}.{lists[0]}" if lists else ""
        message = f"{use} needs a list, but {value.source} has the keys {', '.join(record_keys(value.type) or ())}"
        note = self._findings.fail if fails else self._findings.warn if value.is_vague else self._findings.mistake
        note(node, message, hint)

    def choices(self, value: Result) -> tuple[object, ...]:
        """Return the values that a text field can have, or an empty tuple if these are not known.

        A job's ``status``, for instance, has the values that ``list_jobs`` accepts for its parameter ``status``.
        """
        if value.part_of is None or not is_text(value.type):
            return ()
        record, key = value.part_of
        name = snake(key)
        for integration in self._charged:
            for function in self._listed(integration).functions.own.values():
                items = items_of(function.returns) if function.returns else []
                if any(item.name == record.name for item in items):
                    parameter = next((each for each in function.parameters if each.name == name), None)
                    return choices_of(parameter.type) if parameter else ()
        return ()

    def other_case(self, value: Result, text: object) -> str:
        """Return a hint if a field is never a text, but has it in another case or form; else an empty string."""
        if value.part_of is None or not isinstance(text, str) or text == text.lower() == text.upper():
            return ""
        record, key = value.part_of
        words, said = re.findall(r"\w+", record.about.get(key, "").partition("such as")[2]), letters_of(text)
        return next((f"did you mean {each!r}?" for each in words if each != text and letters_of(each) == said), "")

    def may_raise(self, code: str) -> bool:
        """Return True if an error of a call can have a code: one of its own, of the script, or of an integration."""
        words = [each for each in self._scopes.of("string") if string_of(each) == code]
        if code in ERROR_CODES or any(not each.around or each.around.operator not in ("==", "~=") for each in words):
            return True
        return any(self._listed(name).mentions(code) for name in self._charged)

    def siblings(self, callee: Callee) -> Mapping[str, Function]:
        """Return the functions that an integration's plugin declares beside a function, by name."""
        return self._listed(callee.path.rpartition(".")[0]).functions.own

    def resolve(self, node: Node, path: str, *, mode: Mode | None = None) -> None:
        """Add a finding if a path does not exist or its account cannot be used."""
        try:
            self._catalog.resolve(path)
        except KosmoError as error:
            self._fail(node, error, mode)

    def _under_result(self, node: Node, value: Result, key: str) -> Value:
        keys = record_keys(value.type)
        if key == TRUNCATED and (value.is_vague or is_list(value.type)) and key not in (keys or ()):
            return UNKNOWN
        if keys is not None and key not in keys:
            near = near_field(value.type, key)
            if value.may_be_call_error and key in ERROR_FIELDS:
                return Result(ERROR_FIELDS[key], CODE if key == "code" else f"'{key}'")
            if value.may_be_error and (key in ERROR_KEYS or not (near or value.may_be_call_error)):
                return Result(ANY, CODE, may_be_absent=True) if key == "code" else UNKNOWN
            if value.may_be_call_error:
                keys += sorted(ERROR_FIELDS)
                near = near or near_key(key, ERROR_FIELDS)
            hint = f"did you mean '{near}'?" if near else idioms.FIELDS.get(key, "")
            if key in ("error", "ok", "success") and not hint:
                hint = "a call that fails raises an error: local ok, result = pcall(f, arguments)"
            if value.source == f"'{key}'" or value.source == f"an item of '{key}s'":
                hint = f"it is the {key} itself: leave .{key} out"
            is_certain = not value.is_vague and value.may_be_call_error == value.may_be_error
            note = self._findings.mistake if is_certain and not self._scopes.may_bend_tables else self._findings.warn
            there = "" if (told := tuple(keys)) in self._told else f": it has {listed(keys, MAX_KEYS)}"
            self._told.add(told)
            note(node, f"{value.source} has no field '{key}'{there}", hint)
            return Absent(node) if is_certain else UNKNOWN
        if value.may_be_error and key in ERROR_KEYS:
            return Result(ANY, CODE, may_be_absent=True) if key == "code" else UNKNOWN
        if is_list(value.type):
            instead = idioms.OF_LISTS.get(key) or idioms.FIELDS.get(key)
            if instead:
                note = self._findings.warn if self._scopes.may_extend_tables else self._findings.mistake
                note(node, f"{value.source} is a list and has no '{key}'", instead)
            if self._scopes.may_extend_tables:
                return UNKNOWN
            return Missing(f"'{key}' of a list", instead or _EACH_ITEM, "list")
        if is_text(value.type) and self._is_no_method(key):
            itself = f"{value.source} is the text itself"
            return Missing(f"'{key}' of a text", idioms.FIELDS.get(key) or itself, "text")
        if is_text(value.type) and key in STRING_METHODS:
            return Builtin(f"text:{key}")
        field = field_of(value.type, key)
        part = (value.type, key) if isinstance(value.type, Record) else None
        if field is None:
            return UNKNOWN
        is_unclear = not value.is_vague and depends(value.type, key)
        return Result(
            field,
            f"'{key}'",
            is_optional(value.type, key) and not is_unclear,
            part_of=part,
            is_vague=value.is_vague,
            may_be_absent=value.may_be_error or part is None or is_unclear,
        )

    def _under_app(self, node: Node, branch: Branch, key: str | None) -> Value:
        if branch.depth == 0:
            roots = self._catalog.roots()
            if key in FLAT:
                return Branch(2, key) if self._integration(node, key) else UNKNOWN
            if key is None or key in roots:
                return Branch(1, key or "") if key else UNKNOWN
            hint = f"it is {lua_path(key)}" if key in self._names else f"it has {listed(roots, MAX_KEYS)}"
            hint = f"an account follows its integration: {lua_path('NAME')}.ACCOUNT" if key == "accounts" else hint
            self._findings.fail(node, f"app has no '{key}'", hint)
            return UNKNOWN
        if branch.depth == 1:
            name = key and qualified(branch.integration, key)
            return Branch(2, name) if name and self._integration(node, name) else UNKNOWN
        integration = self._integration(node, branch.integration)
        if integration is None:
            return UNKNOWN
        if key is None:
            return Branch(3, branch.integration, "*") if branch.depth == 2 else UNKNOWN
        if function := integration.function(key):
            return self._callee(node, function, branch)
        if branch.depth == 2 and key in (*self._catalog.accounts(branch.integration), "default"):
            return Branch(3, branch.integration, key)
        if branch.account != "*":
            path = ".".join(filter(None, [branch.integration, branch.account, key]))
            # tools of an MCP server can have changed since it was last connected
            self.resolve(node, path, mode=None if integration.is_current() else Mode.POSSIBLE)
        return UNKNOWN

    @cached_property
    def _names(self) -> Sequence[str]:
        return self._catalog.names()

    def _is_account(self, node: Node, key: str) -> bool:
        """Add a finding if a name where an integration is expected is only that of an account."""
        is_account = key not in self._names and any(key in self._catalog.accounts(each) for each in self._names)
        if is_account:
            hint = f"an account follows its integration: {lua_path('NAME')}.{key}"
            self._findings.fail(node, f"'{key}' is an account, not an integration", hint)
        return is_account

    def _integration(self, node: Node, name: str) -> Integration | None:
        try:
            return self._listed(name)
        except PluginError as error:
            if root_and_name(name)[0] != SERVERS:  # the tools of a server that was never started are unknown
                self._fail(node, PluginFault.unloadable(name, error))
        except KosmoError as error:
            if not self._is_account(node, name):
                self._fail(node, error, code="fails" if did_you_mean(name, self._names) else "absent")
        return None

    def _fail(self, node: Node, error: KosmoError, mode: Mode | None = None, code: str = "fails") -> None:
        if isinstance(error, (ConfigError, NotConfigured, PluginFault)):
            code = SETUP
            self.unconfigured[f"{node.line}:{node.column}"] = error
        hint = "; ".join(hint for hint in error.hints if "\n" not in hint)
        self._findings.fail(node, error.what, hint, mode=mode, code=code)

    def acting(self, node: Node, callee: Callee, given: Mapping[str, Any]) -> Callee:
        """Return a function with the effect of what these arguments make it do, for which the script is charged."""
        if callee.function.acts_as is None:
            return callee
        integration = self._listed(callee.path.rpartition(".")[0])
        try:
            functions = [integration.functions[name] for name in callee.function.acts_as([given])]
        except KosmoError as error:
            self._fail(node, error)
            return callee
        effect = gravest(each.effect for each in functions)
        if charge := self._charges.get(node.index):
            self._charges[node.index] = charge._replace(effect=effect)
        return callee._replace(function=replace(callee.function, effect=effect))

    def _callee(self, node: Node, function: Function, branch: Branch) -> Callee:
        account = shown = branch.account or "default"
        if account != "*":
            try:
                shown = self._catalog.resolve(f"{branch.integration}.{account}.{function.name}").account
            except KosmoError:
                shown = account  # an unknown account is reported at the call
        path = f"{branch.integration}.{function.name}"
        self._charges[node.index] = Charge(function.effect, path, shown)
        integration = self._listed(branch.integration)
        return Callee(
            path,
            function,
            account,
            may_have_changed=not integration.is_current(),
            is_vague=function.name not in integration.functions.own,
        )


def letters_of(text: str) -> str:
    """Return the letters and digits of a text: ``changes requested`` and ``CHANGES_REQUESTED`` have the same."""
    return re.sub(r"[\W_]", "", text).casefold()


def _kind_of_key(field: Node) -> str:
    """Return the type of a key in a table constructor, or an empty string if it is computed."""
    name = field.get("name")
    if name is None:
        return "number" if field.kind == "field" else ""
    return "string" if not field.text.startswith("[") else name.kind if name.kind in ("string", "number") else ""
