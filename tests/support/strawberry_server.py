"""A GraphQL service of strawberry: trees, in the connections of Relay."""

import json

import strawberry

from support.documents import Reply, Sent

COUNT, PAGE = 25, 10


@strawberry.type
class Tree:
    """A tree."""

    name: str
    height: int


@strawberry.type
class PageInfo:
    """Where a page ends."""

    has_next_page: bool
    end_cursor: str | None


@strawberry.type
class TreeEdge:
    """A tree on a page."""

    cursor: str
    node: Tree


@strawberry.type
class TreeConnection:
    """A page."""

    edges: list[TreeEdge]
    page_info: PageInfo


@strawberry.input
class PlantInput:
    """What to plant."""

    name: str
    height: int = 3


@strawberry.type
class Query:
    """What can be read."""

    @strawberry.field
    def tree(self, name: str) -> Tree:
        """Return a tree; there is none called none."""
        if name == "none":
            raise ValueError("there is no such tree")
        return Tree(name=name, height=2)

    @strawberry.field
    def trees(self, first: int = PAGE, after: str | None = None) -> TreeConnection:
        """Return a page of trees."""
        start = int(after or 0)
        end = min(start + min(first, PAGE), COUNT)
        nodes = [
            TreeEdge(cursor=str(each), node=Tree(name=f"tree {each}", height=1)) for each in range(start + 1, end + 1)
        ]
        return TreeConnection(edges=nodes, page_info=PageInfo(has_next_page=end < COUNT, end_cursor=str(end)))


@strawberry.type
class Mutation:
    """What can be changed."""

    @strawberry.mutation
    def plant(self, input: PlantInput) -> Tree:
        """Plant a tree."""
        return Tree(name=input.name, height=input.height)


_SCHEMA = strawberry.Schema(Query, Mutation)


def answer(sent: Sent) -> Reply:
    """Run the document of a request."""
    given = json.loads(sent.body)
    found = _SCHEMA.execute_sync(given["query"], variable_values=given.get("variables"))
    errors = [{"message": each.message, "path": each.path} for each in found.errors or ()]
    return Reply({"data": found.data, **({"errors": errors} if errors else {})})
