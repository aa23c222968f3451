"""Models of torchvision's, written anew in Flax with names of their own: `parity.match` finds the weight maps."""
