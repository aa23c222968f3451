"""Each framework takes the steps, and records what happens."""
