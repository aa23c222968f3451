"""The declarations of all models, by chapter."""
