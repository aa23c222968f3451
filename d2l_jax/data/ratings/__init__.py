"""Ratings and clicks: MovieLens-100K, tables of categorical fields, and what recommenders learn from (chapter 21)."""
