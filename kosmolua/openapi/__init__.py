"""Integrations from OpenAPI documents, which describe the operations of a web service.

- *document*: OpenAPI 3 or Swagger 2.0, as JSON or YAML; *operation*: an HTTP method of a path.
- *key* of an operation: method and path, ``GET /pets``. Its *id* is the operationId, empty if there is none.
- *overlay*: ``openapi.toml``, in which users correct and complete the document; *told*: its entry for an operation.
- ``names.lock`` keeps the names of functions; *kept*: its names, by key.
- *compiled document*: an SQLite database in the cache folder, made from these files, from which functions are read.
- *wire*: a service's name for a parameter or a key of a body; *media*: a media type, such as ``application/json``.
- *place*: the dotted path of a value in JSON, such as ``links.next``.
- *recipe*: how an operation splits its list into pages.
- *access*: the addresses of a service, with the credentials and headers that its requests need.
- *covered*: an operation that a function written in Python replaces.
- *note*: a sentence about a part of the document that was left out or could not be read exactly.
- *settings* of an account: the values of its fields, by name.

Texts that are absent are empty, in all classes here.
"""
