"""Starts and ends the sandbox processes that scripts run in, and limits their number. This code belongs to the host."""
