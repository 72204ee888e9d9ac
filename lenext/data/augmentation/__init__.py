"""Augmentations of batches of images, uint8 (N, H, W, C): what is drawn for each image comes in as a tensor."""
