"""Finding training images that are probably mislabelled: folds, answers out of fold, confident learning, the page."""
