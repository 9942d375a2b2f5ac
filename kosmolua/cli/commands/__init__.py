"""The commands of ``kosmolua``. Each module defines the command of its name."""
