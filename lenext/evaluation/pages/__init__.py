"""Pages: what a run or an evaluation found, as one HTML file that asks for nothing elsewhere."""
