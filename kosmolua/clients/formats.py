"""The formats of settings files: each reads a text, and puts an entry in or takes it out without touching the rest."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tomli

from kosmolua.accounts.toml import assignments
from kosmolua.clients.jsonc import JsonText
from kosmolua.errors import ConfigError

Keys = Sequence[str]
NAME = "name"
"""The key that names an entry in a list of entries."""
ALONE = "it is written in a way in which one entry cannot be changed alone"


class FileFormat(NamedTuple):
    """A format: ``read`` a text, ``put`` a value at nested keys, and ``drop`` what is there. All raise ValueError."""

    read: Callable[[str], Any]
    put: Callable[[str, Keys, Any], str]
    drop: Callable[[str, Keys], str]


def found(data: Any, keys: Keys) -> Any:
    """Return the value at nested keys, or None. In a list, a key is the name of an entry."""
    for key in keys:
        if isinstance(data, list):
            data = next((each for each in data if isinstance(each, dict) and each.get(NAME) == key), None)
        else:
            data = data.get(key) if isinstance(data, dict) else None
    return data


def with_entry(style: FileFormat, text: str, keys: Keys, value: Any) -> str:
    """Return a text with another value at nested keys.

    Raises:
        ValueError: The text is not of this format, or is written in a way in which it cannot be changed alone.
    """
    data = style.read(text)
    return _verified(style, style.put(text, keys, value), _changed(data, keys, value))


def without_entry(style: FileFormat, text: str, keys: Keys) -> str:
    """Return a text without the value at nested keys, if it has one.

    Raises:
        ValueError: The text is not of this format, or is written in a way in which it cannot be changed alone.
    """
    data = style.read(text)
    if found(data, keys) is None:
        return text
    return _verified(style, style.drop(text, keys), _changed(data, keys, None))


def _verified(style: FileFormat, text: str, wanted: Any) -> str:
    """Return a changed text, if it says what is wanted and nothing else."""
    try:
        said = style.read(text)
    except ValueError:
        said = None
    if _full(said) != _full(wanted):
        raise ValueError(ALONE)
    return text


def _full(data: Any) -> Any:
    """Return data without values that are empty, which an edit may leave or take along."""
    if isinstance(data, dict):
        inner = {key: _full(each) for key, each in data.items()}
        return {key: each for key, each in inner.items() if each not in (None, {}, [])}
    return [_full(each) for each in data] if isinstance(data, list) else data


def _changed(data: Any, keys: Keys, value: Any) -> Any:
    """Return data with another value at nested keys, or without it for None."""
    data = copy.deepcopy(data) or {}
    parent = data
    for key in keys[:-1]:
        inner = parent.get(key)
        parent[key] = inner if inner else [] if isinstance(value, dict) and NAME in value and not inner else {}
        parent = parent[key]
        if not isinstance(parent, dict | list):
            raise ValueError(ALONE)
    if isinstance(parent, list):
        place = next((at for at, each in enumerate(parent) if found(each, [NAME]) == keys[-1]), len(parent))
        parent[place : place + 1] = [] if value is None else [value]
    elif value is None:
        parent.pop(keys[-1], None)
    else:
        parent[keys[-1]] = value
    return data


def _put_toml(text: str, keys: Keys, value: Any) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    section = f"[{'.'.join(keys)}]{newline}{assignments(value).replace(chr(10), newline)}"
    if spans := _section(text, keys):
        start, end = spans
        return text[:start] + section + text[end:]
    gap = "" if not text.strip() else newline if text.endswith("\n") else newline * 2
    return text + gap + section


def _drop_toml(text: str, keys: Keys) -> str:
    start, end = _section(text, keys) or (len(text), len(text))
    before, after = text[:start], text[end:]
    return (before.rstrip("\r\n") + before[len(before.rstrip("\r\n")) :][:1] if not after.strip() else before) + after


def _section(text: str, keys: Keys) -> tuple[int, int] | None:
    """Return where a table stands, with its inner tables, without the comments before the next table."""
    name = r"\s*\.\s*".join(rf"[\"']?{re.escape(key)}[\"']?" for key in keys)
    head = re.search(rf"^[ \t]*\[\s*{name}\s*(\]|\.)", text, re.MULTILINE)
    if not head:
        return None
    following = re.compile(rf"^[ \t]*\[(?!\[?\s*{name}\s*\.)", re.MULTILINE).search(text, head.end())
    end = following.start() if following else len(text)
    body = text[head.start() : end]
    trailing = re.search(r"(\s*(#[^\n]*)?(\n|\Z))*\Z", body)
    kept = body[: trailing.start()] if trailing else body
    rest = body[len(kept) :]
    line = re.match(r"[ \t]*(#[^\n]*)?\r?\n?", rest)
    return head.start(), head.start() + len(kept) + (line.end() if line else 0)


def _yaml() -> Any:
    try:
        import yaml
    except ImportError:
        raise ConfigError("YAML needs the Python package pyyaml", hint="pip install 'kosmolua[openapi]'") from None
    return yaml


def _read_yaml(text: str) -> Any:
    yaml = _yaml()
    try:
        data = yaml.safe_load(text.lstrip("\ufeff"))
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    if not isinstance(data, dict | None):
        raise ValueError("it is not a mapping")
    return data or {}


def _put_yaml(text: str, keys: Keys, value: Any) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    if span := _yaml_span(text, keys):
        text = text[: span[0]] + text[span[1] :]
    parent, key = keys[:-1], keys[-1]
    place = _yaml_value(text, parent)
    if place is None:
        lead = "" if not text or text.endswith("\n") else newline
        return text + lead + _dumped({parent[0]: [value] if NAME in value else {key: value}}, 0, newline)
    node, line_indent = place
    if not node.value:  # nothing, {} or []
        start = text[: node.start_mark.index].rstrip(" ")
        shown = _dumped([value] if NAME in value else {key: value}, line_indent + 2, newline)
        rest = text[node.end_mark.index :] if node.end_mark.index > node.start_mark.index else text[len(start) :]
        return start + newline + shown.rstrip("\r\n") + rest
    if not isinstance(node.value, list) or node.flow_style:
        raise ValueError(ALONE)
    listed = not isinstance(node.value[0], tuple)
    first = node.value[0] if listed else node.value[0][0]
    indent = first.start_mark.column - (2 if listed else 0)
    end = _end_of(text, node.start_mark.index, node.end_mark.index)
    lead = "" if text[:end].endswith("\n") else newline
    return text[:end] + lead + _dumped([value] if listed else {key: value}, indent, newline) + text[end:]


def _drop_yaml(text: str, keys: Keys) -> str:
    span, place = _yaml_span(text, keys), _yaml_value(text, keys[:-1])
    if not span or not place:
        raise ValueError(ALONE)
    before, after = text[: span[0]], text[span[1] :]
    if len(place[0].value) > 1:
        return before + after
    empty = " {}" if isinstance(place[0].value[0], tuple) else " []"
    key = before.rstrip()
    return key + empty + before[len(key) :] + after


def _yaml_span(text: str, keys: Keys) -> tuple[int, int] | None:
    """Return where the lines of an entry begin and end."""
    place = _yaml_value(text, keys[:-1])
    if place is None or not isinstance(place[0].value, list) or place[0].flow_style:
        return None
    for each in place[0].value:
        first, last = each if isinstance(each, tuple) else (each, each)
        if first is last and first.id != "mapping":
            raise ValueError(ALONE)
        names = [value.value for key, value in first.value if key.value == NAME] if first is last else [first.value]
        if keys[-1] in names:
            start = text.rfind("\n", 0, first.start_mark.index) + 1
            return start, _end_of(text, start, last.end_mark.index)
    return None


def _yaml_value(text: str, keys: Keys) -> tuple[Any, int] | None:
    """Return the node at nested keys and the indentation of its key; None if there is none."""
    node = _yaml().compose(text)
    indent = 0
    for key in keys:
        found_key = next((pair for pair in (node.value if node else ()) if pair[0].value == key), None)
        if found_key is None:
            return None
        indent, node = found_key[0].start_mark.column, found_key[1]
    return node, indent


def _end_of(text: str, start: int, end: int) -> int:
    """Return the end of the last line of a block that is neither blank nor a comment."""
    lines = text[start:end].splitlines(keepends=True)
    while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        lines.pop()
    return start + len("".join(lines))


def _dumped(value: Any, indent: int, newline: str) -> str:
    text = _yaml().safe_dump(value, sort_keys=False, allow_unicode=True, width=1_000_000)
    return "".join(f"{' ' * indent}{line}{newline}" for line in text.splitlines())


JSONC = FileFormat(
    lambda text: JsonText(text).value,
    lambda text, keys, value: JsonText(text).put(keys, value),
    lambda text, keys: JsonText(text).drop(keys),
)
TOML = FileFormat(lambda text: tomli.loads(text.lstrip("\ufeff")), _put_toml, _drop_toml)
YAML = FileFormat(_read_yaml, _put_yaml, _drop_yaml)
