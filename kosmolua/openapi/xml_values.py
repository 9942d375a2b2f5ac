"""Tables in XML, as the schema of the document says: names, attributes, wrapped lists, prefixes and namespaces.

Documents often leave out whether a list is wrapped, and what carries a result, as AWS's ``DescribeThingsResult``. In a
reply, names that fit the schema lead to the values.
"""

from __future__ import annotations

from contextlib import suppress
from math import isfinite
from typing import TYPE_CHECKING, Any

from kosmolua.errors import BadArguments
from kosmolua.expressions import regex
from kosmolua.http.messages import Response
from kosmolua.protocol import Json
from kosmolua.schema.tree import SchemaTree, table, text

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_XML = regex(r"(application|text)/((?!xhtml)[\w.-]+\+)?xml")
MAX_DEPTH = 100
MAX_ELEMENTS = 500_000
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_KEYS, _VALUES = ("key", "name"), ("value",)
WRAPS = "x-wraps"
"""The key in the ``xml`` of a body's schema that says that a list is wrapped unless its own ``xml`` says no."""
_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_NAME = regex(r"[^\W\d][\w.-]*")
_UNWRITABLE = regex(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def is_xml(media: str) -> bool:
    """Return True for media types whose content is read by its schema: XML, except web pages and pictures."""
    return bool(_XML.fullmatch(media.partition(";")[0].strip().lower()))


class XmlReader:
    """Reads the replies of one operation; ``schema`` is that of its result."""

    def __init__(self, tree: SchemaTree, schema: Json) -> None:
        self._tree = tree
        self._schema = schema

    def read(self, response: Response, content: str) -> Json:
        """Return the value of a response whose text is given; the text itself if the schema has no table or list.

        Raises:
            ValueError: It is not XML, declares entities, or is too large or too deeply nested, as the message says.
        """
        plain = self._tree.whole(self._schema)
        keys = self._tree.keys(self._schema)
        if plain.get("type") != "array" and not keys:
            return content
        root = _parsed(response.body if _declares(response) else content)
        if plain.get("type") == "array":
            return [self._value(plain.get("items", {}), each) for each in root]
        names = {key: self._name(key, each) for key, each in keys.items()}
        found = root
        while not _names(found) & {*names.values()}:
            if payload := next((key for key, name in names.items() if name == _local(root.tag)), None):
                return {payload: self._value(keys[payload], root)}
            inner = next((each for each in found if _local(each.tag).endswith("Result")), None)
            inner = found[0] if inner is None and len(found) == 1 else inner
            if inner is None:
                break
            found = inner
        return self._value(self._schema, found)

    def _name(self, key: str, schema: Json) -> str:
        plain = self._tree.whole(schema)
        name = text(plain["xml"].get("name")) or key
        if plain.get("type") == "array" and plain["xml"].get("wrapped") is False:
            return text(self._tree.whole(plain.get("items"))["xml"].get("name")) or name
        return name

    def _value(self, schema: Json, element: Element) -> Json:
        if element.get(_NIL) == "true":
            return None
        plain = self._tree.whole(schema)
        if keys := self._tree.keys(schema):
            return self._table(keys, element)
        if plain.get("type") == "array":
            return [self._value(plain.get("items", {}), each) for each in element]
        if isinstance(plain.get("additionalProperties"), dict):
            return self._map(plain["additionalProperties"], [*element])
        return _untyped(element) if len(element) else _scalar(plain.get("type"), element.text or "")

    def _table(self, properties: dict[str, Json], element: Element) -> dict[str, Json]:
        found: dict[str, Json] = {}
        used: set[str] = set()
        for key, schema in properties.items():
            plain = self._tree.whole(schema)
            xml = plain["xml"]
            name = text(xml.get("name")) or key
            if xml.get("attribute") is True:
                used.add(f"@{name}")
                if (given := _attributes(element).get(name)) is not None:
                    found[key] = _scalar(plain.get("type"), given)
                continue
            names = [self._name(key, schema), name]
            children = next((each for each in (_named(element, one) for one in names) if each), None)
            used.update(names)
            if children is None:
                continue
            if plain.get("type") == "array":
                items = self._items(plain.get("items", {}), xml.get("wrapped"), children)
                found[key] = [self._value(plain.get("items", {}), each) for each in items]
            elif isinstance(plain.get("additionalProperties"), dict) and not plain.get("properties"):
                pairs = children if xml.get("wrapped") is False else [*children[0]]
                found[key] = self._map(plain["additionalProperties"], pairs)
            else:
                found[key] = self._value(schema, children[0])
        rest = [each for each in element if _local(each.tag) not in used]
        return {**_joined(rest), **found}

    def _items(self, schema: Json, wrapped: object, children: list[Element]) -> list[Element]:
        """Return the items of a list: these elements, or those inside the only one if it wraps them."""
        if len(children) > 1 or wrapped is False:
            return children
        only = children[0]
        names = {self._name(key, each) for key, each in self._tree.keys(schema).items()}
        is_item = bool(names & _names(only)) or (not len(only) and bool((only.text or "").strip()))
        return children if is_item and wrapped is not True else [*only]

    def _map(self, schema: Json, entries: list[Element]) -> dict[str, Json]:
        """Return a table of entries that each have a key and a value, or of elements that are named by their keys."""
        found = {}
        for entry in entries:
            inner = {_local(each.tag).lower(): each for each in entry}
            key = next((inner[name].text or "" for name in _KEYS if name in inner), None)
            value = next((inner[name] for name in _VALUES if name in inner), None)
            if key is not None and value is not None:
                found[key] = self._value(schema, value)
            else:
                found[_local(entry.tag)] = self._value(schema, entry)
        return found


class XmlWriter:
    """Writes the bodies of one operation; ``schema`` is that of its body."""

    def __init__(self, tree: SchemaTree, schema: Json) -> None:
        self._tree = tree
        self._schema = schema
        xml = tree.whole(schema)["xml"]
        self._wraps = xml.get(WRAPS) is True
        self._name = text(xml.get("name")) or _last_word(schema)

    def write(self, value: Json) -> bytes:
        """Return a table or a list as XML in UTF-8.

        The root is named by the schema or its reference, or else by the only key of the table.

        Raises:
            BadArguments: XML cannot have a key of this name, or a character of a text.
        """
        from xml.etree.ElementTree import Element, tostring

        above, name, schema = Element("above"), self._name, self._schema
        plain = self._tree.whole(schema)
        keys = {} if name else self._tree.keys(schema)
        if len(keys) == 1 and isinstance(value, dict) and keys.keys() == value.keys():
            [(name, value)] = value.items()
            schema = keys[name]
            plain = {"xml": plain["xml"] | self._tree.whole(schema)["xml"]}
            name = text(plain["xml"].get("name")) or name
        self._fill(self._element(above, name or text(plain.get("title")) or "root", plain["xml"]), schema, value)
        return _DECLARATION + tostring(above[0], encoding="unicode").encode()

    def _element(self, parent: Element, name: str, xml: dict[str, Any]) -> Element:
        from xml.etree.ElementTree import SubElement

        prefix, namespace = text(xml.get("prefix")), text(xml.get("namespace"))
        if not _NAME.fullmatch(name):
            raise BadArguments(f"{name[:80]!r} cannot be the name of an element of XML", param="body")
        made = SubElement(parent, f"{prefix}:{name}" if prefix else name)
        if namespace:
            made.set(f"xmlns:{prefix}" if prefix else "xmlns", namespace)
        return made

    def _fill(self, element: Element, schema: Json, value: Json) -> None:
        """Write a value into an element."""
        if isinstance(value, dict):
            known = self._tree.keys(schema)
            others = table(self._tree.whole(schema).get("additionalProperties"))
            for key in [*(each for each in known if each in value), *(each for each in value if each not in known)]:
                self._add(element, key, known.get(key, others), value[key])
        elif isinstance(value, list):
            items = self._tree.whole(schema).get("items", {})
            self._add_items(element, _last_word(items) or "item", items, value)
        elif value is None:
            element.attrib |= {"xmlns:xsi": _NIL[1:].partition("}")[0], "xsi:nil": "true"}
        else:
            element.text = _written(value)

    def _add(self, parent: Element, key: str, schema: Json, value: Json) -> None:
        plain = self._tree.whole(schema)
        xml, name = plain["xml"], text(plain["xml"].get("name")) or key
        if xml.get("attribute") is True:
            prefix = text(xml.get("prefix"))
            parent.set(f"{prefix}:{name}" if prefix else name, "" if value is None else _written(value))
        elif not isinstance(value, list):
            self._fill(self._element(parent, name, xml), schema, value)
        elif xml.get("wrapped", self._wraps) is True:
            holder = self._element(parent, name, xml)
            self._add_items(holder, "member" if self._wraps else name, plain.get("items", {}), value)
        else:
            self._add_items(parent, name, plain.get("items", {}), value)

    def _add_items(self, parent: Element, name: str, schema: Json, values: list[Json]) -> None:
        xml = self._tree.whole(schema)["xml"]
        for each in values:
            self._fill(self._element(parent, text(xml.get("name")) or name, xml), schema, each)


def _last_word(schema: Json) -> str:
    """Return the name of the schema to which a reference leads."""
    return text(table(schema).get("$ref")).rpartition("/")[2]


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if found := _UNWRITABLE.search(said := str(value)):
        raise BadArguments(f"XML cannot have the character {found[0]!r}", param="body")
    return said


def _declares(response: Response) -> bool:
    """Return True if the content itself says its encoding, and the headers do not."""
    return "charset" not in (response.header("Content-Type") or "").lower()


def _parsed(content: bytes | str) -> Element:
    from xml.etree.ElementTree import TreeBuilder
    from xml.parsers import expat

    builder, open_, count = TreeBuilder(), [0], [0]
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True

    def start(name: str, attributes: dict[str, str]) -> None:
        open_[0] += 1
        count[0] += 1
        if open_[0] > MAX_DEPTH or count[0] > MAX_ELEMENTS:
            raise ValueError(f"it has over {MAX_ELEMENTS:,} elements, or is nested over {MAX_DEPTH} levels deep")
        builder.start(_full(name), {_full(key): each for key, each in attributes.items()})

    def end(name: str) -> None:
        open_[0] -= 1
        builder.end(_full(name))

    def refuse(*given: object) -> None:
        raise ValueError("it declares entities, which are refused")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)  # noqa: FBT003
    except expat.ExpatError as error:
        raise ValueError(str(error)) from None
    return builder.close()


def _full(name: str) -> str:
    return "{" + name if "}" in name else name


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _named(element: Element, name: str) -> list[Element]:
    return [each for each in element if _local(each.tag) == name]


def _names(element: Element) -> set[str]:
    return {_local(each.tag) for each in element} | {*_attributes(element)}


def _attributes(element: Element) -> dict[str, str]:
    return {_local(key): each for key, each in element.attrib.items()}


def _scalar(kind: object, given: str) -> Json:
    kinds = kind if isinstance(kind, list) else [kind]
    with suppress(ValueError):
        if "integer" in kinds:
            return int(given)
        if "number" in kinds and isfinite(number := float(given)):
            return number
    if "boolean" in kinds and given.strip().lower() in ("true", "false", "1", "0"):
        return given.strip().lower() in ("true", "1")
    return given


def _untyped(element: Element) -> Json:
    """Return an element that no schema describes: its text, or a table of its elements."""
    return _joined([*element]) if len(element) else element.text or ""


def _joined(elements: list[Element]) -> dict[str, Json]:
    """Return elements as a table; those with one name are a list."""
    found: dict[str, list[Json]] = {}
    for each in elements:
        found.setdefault(_local(each.tag), []).append(_untyped(each))
    return {name: each if len(each) > 1 else each[0] for name, each in found.items()}
