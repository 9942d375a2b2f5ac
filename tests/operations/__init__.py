"""Scripts that run the program as an operator does, and hurt it: README.md says what each does."""
