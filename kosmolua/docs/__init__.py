"""Documentation: guides, and a reference made from the signatures of integrations."""

from kosmolua.docs.library import Library

__all__ = ["Library"]
