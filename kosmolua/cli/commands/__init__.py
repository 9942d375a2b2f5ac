"""The commands of ``kosmolua``, each in a module of its own."""
