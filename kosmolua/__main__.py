"""``python -m kosmolua`` is the command line."""

from kosmolua.cli import main

main()
