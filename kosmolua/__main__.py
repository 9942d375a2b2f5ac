"""Runs the command line for ``python -m kosmolua``."""

from kosmolua.cli import main

if __name__ == "__main__":  # a process that is spawned imports this module by another name
    main()
