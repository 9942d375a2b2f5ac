"""Write the facts of a GraphQL schema, for a plugin that has it beside its OpenAPI document: no prose, compressed.

    python scripts/graphql_facts.py schema.graphql > integrations/NAME/graphql.json.gz

GitHub's schema is in the npm package @octokit/graphql-schema. What is returned by default leaves out what needs scopes
that most tokens lack, what only concerns the reader, and second spellings of the same.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

from kosmolua.openapi.graphql import document_of
from kosmolua.openapi.naming import snake

UNSELECTED = (
    r"^viewer|^(is|has|can)[A-Z].*(Viewer|Sponsor)|email|sponsor|InCents|ipAllow|TwoFactor|Setting$|copilot|interactionAbility"
    r"|^saml|^announcement|^membersCan|(Allowed|Enabled)$"
    r"|HTML$|ResourcePath$|^resourcePath$|(?<!^html)(?<!^avatar)(?<!^)Url$|^userViewType$|^itemShowcase$|^planFeatures$"
)


def facts(schema: bytes, name: str) -> dict[str, Any]:
    """Return the paths and schemas of a GraphQL schema, as an OpenAPI document of the same service has them."""
    root = document_of(schema, name, unselected=UNSELECTED)
    text = json.dumps(_plain({"paths": root["paths"], "components": {"graphql": root["components"]["schemas"]}}))
    kept: dict[str, Any] = json.loads(text.replace("#/components/schemas/", "#/components/graphql/"))
    for item in kept["paths"].values():
        operation = item["post"]
        own = operation.pop("operationId")
        operation |= {"operationId": f"graphql/{own}", "tags": ["graphql"]}
        operation.setdefault("summary", f"{snake(own).replace('_', ' ').capitalize()}, by GraphQL.")
    return kept


def _plain(value: Any, *, names: bool = False) -> Any:
    """Return a value without descriptions; ``names``: its keys are names that somebody chose."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {key: each for key, each in value.items() if names or key != "description"}
    return {key: _plain(each, names=key in ("properties", "paths", "graphql", "types")) for key, each in kept.items()}


def main() -> None:
    """Print the facts of the schema that the command line names."""
    source = Path(sys.argv[1])
    text = json.dumps(facts(source.read_bytes(), source.name), separators=(",", ":"))
    sys.stdout.buffer.write(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
