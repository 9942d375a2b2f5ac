"""The MCP server, with which agents run scripts and read documentation, made with the official MCP SDK.

Everything is done with a :class:`kosmolua.runtime.Runtime`. No request can do more than this runtime permits.

- *client*: a name for who sends a request: from a session (up to protocol version 2025-11-25), a cookie, or an
  address; None on standard input, where there is only one.
- *execution*: a script that runs for a client, perhaps longer than the request that started it; *outcome*: its end.
- *question*: what a person is asked about calls; *watch*: a function that is called in another thread when a call
  starts and when it ends; *check*: whether scripts that are certain to fail are refused.
- *transcript*: the whole text of an answer that was cut; *budget*: the most characters of an answer.
- *way to approve*: how a person approves calls of a paused run, such as ``with kosmolua resume RUN --approve``.
"""
