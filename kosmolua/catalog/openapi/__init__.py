"""Makes integrations from OpenAPI documents, which describe the operations of a web service."""
