"""Each layer on its own, in both directions, on the same inputs and cotangents."""
