"""Accounts: the accounts file, its sections, and the sources of secrets.

- *section*: a table of the file: ``[NAME]`` of an integration, ``[NAME.ACCOUNT]`` of an account, ``[mcp.NAME]`` of a
  server; *keys*: the names of nested tables that lead to it. The file need not exist.
- *source*: where a secret comes from, such as ``{ env = "NAME" }``; *redactor*: masks each secret that is fetched.
- *until*: the time by which a secret must be fetched, on the scale of :func:`time.monotonic`.
- *warn*: gets a sentence about each file with a secret that other users can read.
- *login*: the OAuth tokens of an account; *ceiling*: the upper limit on a tenant's permissions.
"""
