#!/bin/sh
# A tokenizer.json whose added token has an id of its own is read with another id.
#
# One would guess: "added_tokens": [{"id": 7, "content": "<pad>"}] gives <pad> the number 7, which a model's embedding was trained with.
# What happens: where the model's vocabulary does not hold the text too, it gets the next free number, without a word.
# Versions: tokenizers 0.23.3, Python 3.11.
# Source: tokenizers/src/tokenizer/added_vocabulary.rs.
#
# Output seen:
#   id in the file 7, id when read 2
#   in the vocabulary too: id in the file 7, id when read 7
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q tokenizers==0.23.3
cat > "$work/ids.py" <<'END'
import json
import sys

from tokenizers import Tokenizer


def number(vocab):
    flags = dict.fromkeys(["single_word", "lstrip", "rstrip", "normalized"], False) | {"special": True}
    added = [{"id": 7, "content": "<pad>"} | flags]
    model = {"type": "WordLevel", "vocab": vocab, "unk_token": "a"}
    return Tokenizer.from_str(json.dumps({"version": "1.0", "added_tokens": added, "model": model})).token_to_id("<pad>")


without = number({"a": 0, "b": 1})
within = number({"a": 0, "b": 1, "<pad>": 7})
print(f"id in the file 7, id when read {without}")
print(f"in the vocabulary too: id in the file 7, id when read {within}")
sys.exit((without, within) != (2, 7))
END
"$work/env/bin/python" "$work/ids.py"
