"""The processes that scripts run in, as the host holds them: how they start, who lends them, how they end."""
