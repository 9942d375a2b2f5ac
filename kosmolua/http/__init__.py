"""HTTP: requests and responses, authentication, a client that does no I/O, and the transport that does the I/O.

- *credential*: what :mod:`.auth` adds to a request; it must never reach another *origin* (scheme, host, port).
- *template*: a path such as ``/services/{service_id}``; its values are *segments*. *route*: a filled one's template.
- *send*: a function that sends a request and returns the response.
- *until*: a function that returns the deadline of a call, on the scale of :func:`time.monotonic`.
- *fault*: why no complete response was received; *attempt*: one sending of a request, which retries repeat.
- *safe*: a request that changes nothing, so that it can be sent twice.
"""
