"""Finding a data set: its name, the folders to look in, downloads, and `load`, the entrance to all of them."""
