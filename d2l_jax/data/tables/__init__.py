"""Tables: numbers and categories in rows, and their folds."""
