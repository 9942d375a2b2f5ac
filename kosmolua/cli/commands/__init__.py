"""The commands of ``kosmolua``, a module each."""
