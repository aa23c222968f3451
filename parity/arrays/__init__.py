"""Arrays of either framework: the order of their axes, and copies from one to the other."""
