"""Training: recipes say how, `loop` does it, `run` keeps what came of it."""
