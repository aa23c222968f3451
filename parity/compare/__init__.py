"""Two records become rows: each has a gap, a threshold and the reason for it."""
