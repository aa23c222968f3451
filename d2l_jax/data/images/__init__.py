"""Images: the formats that they lie in, their sizes, and the embedded digits."""
