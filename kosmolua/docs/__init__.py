"""The documentation: written guides, and reference pages that are made from the functions of integrations."""

from kosmolua.docs.library import Library

__all__ = ["Library"]
