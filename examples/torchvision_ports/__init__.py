"""Models of torchvision, written in Flax with other names: `parity.match` finds the weight maps."""
