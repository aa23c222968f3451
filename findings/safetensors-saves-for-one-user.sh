#!/bin/sh
# Weights that are saved as .safetensors can be read by nobody else.
#
# One would guess: a file that save_file writes has the permissions of any other new file, 644 under a umask of 022, and one
#   that is written over keeps those that it had.
# What happens: it has 600 in both cases, since it is a temporary file that takes the name at the end. A training run leaves
#   metrics that colleagues can read beside weights that they cannot; a server under another user says that there are none.
# Versions: safetensors 0.8.0, numpy 2.4.6, Python 3.11, Linux.
# Source: safetensors/safetensors#782 (since 764).
#
# Output seen:
#   a plain file 644, a new one of safetensors 600, one that had 664 before 600
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q safetensors==0.8.0 numpy==2.4.6
cat > "$work/save.py" <<'END'
import os
import pathlib
import sys

import numpy as np
from safetensors.numpy import save_file

os.umask(0o022)
plain, new, before = (pathlib.Path(sys.argv[1]) / name for name in ("plain", "new", "before"))
plain.touch()
before.touch()
before.chmod(0o664)
for path in (new, before):
    save_file({"weight": np.zeros(3)}, path)
modes = [f"{path.stat().st_mode & 0o777:o}" for path in (plain, new, before)]
print("a plain file {}, a new one of safetensors {}, one that had 664 before {}".format(*modes))
sys.exit(modes != ["644", "600", "600"])
END
"$work/env/bin/python" "$work/save.py" "$work"
