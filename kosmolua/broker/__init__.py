"""The broker answers everything that a script requests from the host."""
