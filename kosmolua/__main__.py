"""``python -m kosmolua`` is the command line."""

from kosmolua.cli import main

if __name__ == "__main__":  # a process that is spawned imports this module by another name
    main()
