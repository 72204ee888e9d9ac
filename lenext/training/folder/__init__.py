"""What a run folder holds, and who writes it."""
