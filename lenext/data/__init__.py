"""Images: where they come from, what is held out, how each is decoded, and how they reach the model."""
