"""The host's side of the processes that scripts run in: how they start, how many run at once, and how they end."""
