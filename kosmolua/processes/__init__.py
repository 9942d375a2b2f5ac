"""Starts and ends the sandbox processes that scripts run in, and limits their number. This is code of the host."""
