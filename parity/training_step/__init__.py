"""Two training steps of a user's own, taken from equal states, one beside the other."""
