"""Finding a data set: its name, the folders to look in, downloads, and one door to all of them."""
