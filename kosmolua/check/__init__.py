"""Checks scripts before they run: evaluates them without running them, and finds what will or might fail."""
