"""The REPL: reading, completing and running chunks, and showing their results."""
