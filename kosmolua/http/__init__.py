"""HTTP: messages, authentication, a client that does no I/O, and the transport that does."""
