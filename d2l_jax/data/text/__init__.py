"""Text: vocabularies, windows, pairs of sentences, and the embedded texts."""
