"""From failing rows to the first guilty place, and to its cause."""
