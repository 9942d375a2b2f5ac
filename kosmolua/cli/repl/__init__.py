"""The conversation of ``kosmolua repl``: reading chunks, completing them, and showing what came of them."""
