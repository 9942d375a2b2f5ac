"""A Render of make-believe: its data, what it demands of requests, and how it answers each operation."""
