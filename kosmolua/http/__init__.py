"""HTTP: requests and responses, authentication, a client that does no I/O, and the transport that does the I/O."""
