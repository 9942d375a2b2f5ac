"""OpenAPI: a document that describes a web service, as an integration."""
