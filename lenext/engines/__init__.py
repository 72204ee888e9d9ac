"""Engines: what runs an exported file, each with its own library, none with torch; what the file says of itself."""
