"""Serving many: tenants, each with a runtime of its own, over the Model Context Protocol and on a page for people."""
