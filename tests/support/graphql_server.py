"""A GraphQL service on loopback, of graphql-core: authors, books in pages, a union, an input object and an upload."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support.documents import Reply, Sent, Service

SDL = '''
"""What can be found."""
union Found = Author | Book
scalar Upload
scalar DateTime
enum Genre { NOVEL ESSAY }
interface Node { id: ID! }
type PageInfo { hasNextPage: Boolean! endCursor: String }
"""Somebody who writes."""
type Author implements Node {
  id: ID! name: String! born: DateTime books(first: Int): BookConnection! rival: Author apiToken: String
}
type Book implements Node { id: ID! title: String! genre: Genre author: Author! tags: [String!]! old: Int @deprecated }
type BookConnection { nodes: [Book] pageInfo: PageInfo! totalCount: Int! }
input BookInput { title: String! authorId: ID! genre: Genre = NOVEL tags: [String!] clientMutationId: String }
type BookPayload { book: Book clientMutationId: String }
type Query {
  "The author with an id."
  author(id: ID!): Author
  books(first: Int, after: String, genre: Genre): BookConnection!
  search(text: String!): [Found!]!
  version: String!
  secretly: String
}
type Mutation {
  "Adds a book."
  addBook(input: BookInput!): BookPayload
  deleteBook(id: ID!): Boolean!
  rename(authorId: ID!, name: String!): Author
  uploadCover(file: Upload!, id: ID!): Boolean
  illustrate(id: ID!, picture: Upload): Boolean
}
type Subscription { added: Book }
'''
COUNT = 120
PAGE = 30


class Library:
    """The resolvers, and what was asked."""

    def __init__(self) -> None:
        from graphql import build_schema, graphql_sync

        self._run = graphql_sync
        self.schema = build_schema(SDL)
        for name in ("Found", "Node"):
            self.schema.type_map[name].resolve_type = lambda value, *_: value["kind"]
        self.gone: set[str] = set()
        self.asked: list[dict[str, Any]] = []

    def answer(self, sent: Sent) -> Reply:
        """Run the document of a request."""
        given = json.loads(sent.body)
        self.asked.append(given)
        found = self._run(
            self.schema,
            given["query"],
            self,
            variable_values=given.get("variables"),
            operation_name=given.get("operationName"),
        )
        errors = {"errors": [each.formatted for each in found.errors]} if found.errors else {}
        return Reply({"data": found.data, **errors})

    def author(self, info: Any, id: str) -> dict[str, Any] | None:
        """Return an author; the one called missing is an error."""
        if id == "missing":
            from graphql import GraphQLError

            raise GraphQLError("There is no such author", extensions={"code": "NOT_FOUND"})
        rival = {"kind": "Author", "id": "rival", "name": "Bo"}
        return {
            "kind": "Author",
            "id": id,
            "name": "Ann",
            "born": "1970-01-01T00:00:00Z",
            "rival": rival,
            "apiToken": "t",
        }

    def books(self, info: Any, first: int, after: str = "0", genre: str = "") -> dict[str, Any]:
        """Return a page; at most :data:`PAGE` books."""
        start, size = int(after or 0), min(first, PAGE)
        ids = [str(number) for number in range(COUNT) if str(number) not in self.gone]
        nodes = [self.book(each) for each in ids[start : start + size]]
        more = start + size < len(ids)
        return {
            "nodes": nodes,
            "pageInfo": {"hasNextPage": more, "endCursor": str(start + size)},
            "totalCount": len(ids),
        }

    def book(self, id: str) -> dict[str, Any]:
        """Return a book."""
        author = {"kind": "Author", "id": "a", "name": "Ann"}
        return {"kind": "Book", "id": id, "title": f"Book {id}", "genre": "NOVEL", "author": author, "tags": ["x"]}

    def search(self, info: Any, text: str) -> list[dict[str, Any]]:
        """Return a book and an author."""
        return [self.book("1"), {"kind": "Author", "id": "a", "name": text}]

    def version(self, info: Any) -> str:
        """Return the version."""
        return "7"

    def addBook(self, info: Any, input: dict[str, Any]) -> dict[str, Any]:
        """Return the book as it was added."""
        return {"book": {**self.book("new"), "title": input["title"], "tags": input.get("tags") or []}}

    def deleteBook(self, info: Any, id: str) -> bool:
        """Delete a book."""
        self.gone.add(id)
        return True

    def rename(self, info: Any, authorId: str, name: str) -> dict[str, Any]:
        """Return the renamed author."""
        return {"kind": "Author", "id": authorId, "name": name}


@contextmanager
def library() -> Iterator[tuple[Library, Service]]:
    """Yield a library, and the service that answers for it."""
    made = Library()
    service = Service(made.answer)
    try:
        yield made, service
    finally:
        service.close()
