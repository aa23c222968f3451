"""Data sets that are drawn: each example comes from a formula and a seed."""
