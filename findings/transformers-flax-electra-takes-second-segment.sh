#!/bin/sh
# FlaxElectraModel without token_type_ids computes as if all tokens were of the second segment.
#
# One would guess: left out, token_type_ids are zeros, as in its PyTorch class and in BERT's Flax class.
# What happens: the call of FlaxElectraPreTrainedModel fills in ones. Every output differs from that of the PyTorch class with
#   the same weights; only who hands token_type_ids to both gets the same.
# Versions: transformers 4.46.3, jax and jaxlib 0.10.2, flax 0.12.8, Python 3.11.
# Source: transformers/models/electra/modeling_flax_electra.py, FlaxElectraPreTrainedModel.__call__.
#
# Output seen:
#   outputs without token_type_ids are those with zeros in BERT: True, in ELECTRA: False; with ones: True
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q transformers==4.46.3 jax==0.10.2 jaxlib==0.10.2 flax==0.12.8
cat > "$work/segments.py" <<'END'
import sys

import numpy as np
import transformers

SIZES = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 24}
IDS = np.arange(5, 17).reshape(2, 6)


def same(kind, segment):
    """Tells whether the outputs without segments are those with `segment` for every token."""
    config = getattr(transformers, f"{kind}Config")(vocab_size=20, initializer_range=0.5, **SIZES)
    model = getattr(transformers, f"Flax{kind}Model")(config)
    given = model(IDS, token_type_ids=np.full_like(IDS, segment)).last_hidden_state
    return bool(np.allclose(model(IDS).last_hidden_state, given, atol=1e-6))


bert, electra, ones = same("Bert", 0), same("Electra", 0), same("Electra", 1)
print(f"outputs without token_type_ids are those with zeros in BERT: {bert}, in ELECTRA: {electra}; with ones: {ones}")
sys.exit((bert, electra, ones) != (True, False, True))
END
"$work/env/bin/python" "$work/segments.py"
