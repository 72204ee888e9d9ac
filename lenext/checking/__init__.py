"""What is wrong with labelled images, before anyone trains on them."""
