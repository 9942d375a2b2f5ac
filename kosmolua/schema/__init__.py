"""What an integration offers, read from the signatures of plain Python functions."""
