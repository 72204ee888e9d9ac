"""What every page that lenext writes is made of: its style, its drawings, its pictures."""
