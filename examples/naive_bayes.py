"""Naive Bayes on MNIST (section 22.9): the accuracy on the test images, and the scores of the first.

D2L_DATA=FOLDER python examples/naive_bayes.py; small embedded digits stand in for an MNIST that is not there
"""

import jax.numpy as jnp
import numpy as np

from d2l_jax.algorithms import naive_bayes
from d2l_jax.data import load
from d2l_jax.errors import InputError

try:
    digits = load("mnist")
except InputError:
    digits = load("digits")
print(f"{digits.name}: {digits.source}")
images, labels = digits.train
unseen, answers = digits.test
model = naive_bayes.fit(naive_bayes.binarised(images), labels)
scores = naive_bayes.log_scores(model, jnp.asarray(naive_bayes.binarised(unseen), float))
print("shares of the classes:", *(f"{share:.4f}" for share in model.P_y))
print("scores of the first test image:", *(f"{score:.2f}" for score in scores[0]))
print(f"accuracy on {len(unseen):,} images: {np.mean(np.argmax(scores, -1) == answers):.4f}")
