"""The processes that scripts run in, as the host holds them: how they start, how many run at once, how they end."""
