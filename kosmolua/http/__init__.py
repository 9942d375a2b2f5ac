"""How to talk to a web service: messages, a client that does no I/O, and the transport that does."""
