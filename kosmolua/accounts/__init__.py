"""Accounts: the accounts file, its sections, and the sources of secrets."""
