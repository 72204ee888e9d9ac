"""Views: how often, and where, a protocol looks at each image, and what becomes of the answers."""
