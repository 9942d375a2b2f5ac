"""The broker: everything a script asks of the host."""
