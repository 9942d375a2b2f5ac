"""OpenAPI: integrations made from documents that describe a web service."""
