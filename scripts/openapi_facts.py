"""Write the facts of an OpenAPI document: methods, paths, names, types, enums and what is required, and no prose.

    python scripts/openapi_facts.py SOURCE.json > integrations/NAME/openapi.json

What a plugin is shipped with is made by this from the service's own document, whose sentences stay where they are.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

PROSE = {
    "description",
    "summary",
    "title",
    "externalDocs",
    "example",
    "examples",
    "termsOfService",
    "contact",
    "$comment",
}
"""Keys of objects that hold the service's words, or nothing that a request depends on."""
WORDS_OF_SCHEMAS = PROSE | {"deprecated", "xml"}
OPERATION = ("operationId", "tags", "parameters", "requestBody", "responses", "deprecated", "servers", "security")
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def facts(document: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a document; references lead to the same places as before."""
    kept: dict[str, Any] = {
        "openapi": document["openapi"],
        "info": {"title": document["info"]["title"], "version": document["info"]["version"]},
        "servers": [{"url": each["url"]} for each in document.get("servers", [])],
        "paths": {path: _item(item) for path, item in document["paths"].items()},
    }
    if "security" in document:
        kept["security"] = document["security"]
    components = document.get("components", {})
    kept["components"] = {}
    if "securitySchemes" in components:
        kept["components"]["securitySchemes"] = _plain(components["securitySchemes"])
    for kind, name in _needed(kept, document):
        kept["components"].setdefault(kind, {})[name] = _plain(components[kind][name])
    return kept


def _item(item: dict[str, Any]) -> dict[str, Any]:
    kept = {key: _plain(item[key]) for key in ("parameters", "servers") if key in item}
    return kept | {method: _operation(item[method]) for method in METHODS if method in item}


def _operation(operation: dict[str, Any]) -> dict[str, Any]:
    kept = {key: _plain(operation[key]) for key in OPERATION if key in operation and key != "responses"}
    good = {status: answer for status, answer in operation.get("responses", {}).items() if str(status)[0] == "2"}
    kept["responses"] = {status: _plain(answer) for status, answer in good.items()}
    return kept


def _plain(value: Any, *, names: bool = False) -> Any:
    """Return a value without prose and extensions.

    Args:
        value: A part of the document.
        names: True if the keys are names that somebody chose, and none of them means anything.
    """
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, each in value.items():
        if names:
            kept[key] = _plain(each)
        elif key in ("enum", "const", "default", "required"):
            kept[key] = each
        elif key not in WORDS_OF_SCHEMAS and not key.startswith("x-"):
            kept[key] = _plain(each, names=key in ("properties", "patternProperties", "content", "headers", "encoding"))
    return kept


def _needed(kept: dict[str, Any], document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the kind and the name of each component that is referred to, in the order in which they are met."""
    seen: set[tuple[str, ...]] = set()
    left = [*_references(kept)]
    while left:
        root, kind, name = _words(left.pop(0))[:3]
        if root == "components" and (kind, name) not in seen:
            seen.add((kind, name))
            yield kind, name
            left.extend(_references(_plain(document["components"][kind][name])))


def _references(value: Any) -> Iterator[str]:
    unseen = [value]
    while unseen:
        each = unseen.pop(0)
        if isinstance(each, list):
            unseen.extend(each)
        elif isinstance(each, dict):
            if isinstance(each.get("$ref"), str):
                yield each["$ref"]
            unseen.extend(part for key, part in each.items() if key != "enum")


def _words(pointer: str) -> list[str]:
    return [unquote(word).replace("~1", "/").replace("~0", "~") for word in pointer.split("/")[1:]]


def main() -> None:
    """Print the facts of the document that the command line names, a line each path and component."""
    document = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.write(written(facts(document)))


def written(kept: dict[str, Any]) -> str:
    """Return facts as JSON whose changes can be read: a line for each path and each component."""

    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def table(values: dict[str, Any]) -> str:
        return "{\n" + ",\n".join(f"{line(key)}:{line(each)}" for key, each in values.items()) + "\n}"

    parts = {key: line(each) for key, each in kept.items() if key not in ("paths", "components")}
    parts["paths"] = table(kept["paths"])
    parts["components"] = (
        "{\n" + ",\n".join(f"{line(kind)}:{table(each)}" for kind, each in kept["components"].items()) + "\n}"
    )
    return "{\n" + ",\n".join(f"{line(key)}:{each}" for key, each in parts.items()) + "\n}\n"


if __name__ == "__main__":
    main()
