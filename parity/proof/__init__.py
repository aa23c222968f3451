"""The order in which everything is asked of a twin."""
