#!/bin/sh
# FlaxRegNetModel in training normalises by the running statistics in every layer but the first and the shortcuts.
#
# One would guess: with train=True batch norm takes the statistics of the batch everywhere, and its running ones move, as in
#   the PyTorch class and in FlaxResNetModel of the same package.
# What happens: the layers call their convolutions without `deterministic`, whose default is evaluation. Their running means stay
#   what they were; what is fine-tuned so is another network than the PyTorch class fine-tunes.
# Versions: transformers 4.46.3, jax and jaxlib 0.10.2, flax 0.12.8, Python 3.11.
# Source: transformers/models/regnet/modeling_flax_regnet.py, FlaxRegNetXLayer.__call__ and FlaxRegNetYLayer.__call__.
#
# Output seen:
#   running means that move in training: RegNet 3 of 9, ResNet 7 of 7
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q transformers==4.46.3 jax==0.10.2 jaxlib==0.10.2 flax==0.12.8
cat > "$work/statistics.py" <<'END'
import sys

import numpy as np
import transformers
from flax.traverse_util import flatten_dict

SIZES = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "downsample_in_first_stage": True}
IMAGES = np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype("float32")


def moved(kind, **options):
    """Returns how many running means are others after a call in training, and how many there are."""
    config = getattr(transformers, f"{kind}Config")(**SIZES, **options)
    model = getattr(transformers, f"Flax{kind}Model")(config, input_shape=(1, 16, 16, 3))
    _, state = model.module.apply(model.params, np.asarray(IMAGES), deterministic=False, mutable=["batch_stats"])
    before, after = (flatten_dict(tree["batch_stats"]) for tree in (model.params, state))
    means = [path for path in before if path[-1] == "mean"]
    return sum(not np.array_equal(before[path], after[path]) for path in means), len(means)


regnet, resnet = moved("RegNet", groups_width=4), moved("ResNet", layer_type="basic")
print(f"running means that move in training: RegNet {regnet[0]} of {regnet[1]}, ResNet {resnet[0]} of {resnet[1]}")
sys.exit(regnet[0] == regnet[1] or resnet[0] != resnet[1])
END
"$work/env/bin/python" "$work/statistics.py"
