"""What functions take and return: types, read from Python signatures or JSON Schema, and what is made of them."""
