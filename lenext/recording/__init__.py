"""Recording: predictions in a file as they come, so that whoever is broken off goes on where it was."""
