"""JSON pointers: the references of a document, such as ``#/components/schemas/Pet``."""

from __future__ import annotations

from urllib.parse import unquote

from kosmolua.protocol import Json


def target(document: Json, pointer: str) -> Json:
    """Return what a reference leads to.

    Raises:
        LookupError: It leads out of the document, or nowhere, as the message says.
    """
    if not (pointer == "#" or pointer.startswith("#/")):
        raise LookupError("leads out of the document")
    node = document
    for word in pointer.split("/")[1:]:
        key = unquote(word).replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and key in node:
            node = node[key]
        elif isinstance(node, list) and key.isdecimal() and len(key) < 10 and int(key) < len(node):
            node = node[int(key)]
        else:
            raise LookupError("leads nowhere")
    return node
