"""`lenext serve`: models answer over HTTP, to programs and to a page; and the explorer of architectures."""
