"""The check, checked: bugs that people make are planted in correct twins, and it must catch, place and name them."""
