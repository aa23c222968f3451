#!/bin/sh
# batched_nms returns boxes of equal scores by their index up to 1,000 boxes, and in another order from 1,001.
#
# One would guess: the order of ties does not depend on how many boxes there are; nms itself sorts stably.
# What happens: above 4,000 numbers on a CPU each class is handled by itself, and the boxes kept are sorted once more, by a sort that is not
#   stable. Who compares indices with another implementation (or takes the first k) gets other boxes from 1,001 on.
# Versions: torchvision 0.29.2, torch 2.14.1, CPU, Python 3.11.
# Source: torchvision/ops/boxes.py, batched_nms.
#
# Output seen:
#   1000 boxes: ties by index True
#   1001 boxes: ties by index False
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q torch==2.14.1 torchvision==0.29.2 numpy
cat > "$work/ties.py" <<'END'
import sys
from itertools import pairwise

import torch
from torchvision.ops import batched_nms

by_index = []
for count in (1000, 1001):
    random = torch.Generator().manual_seed(0)
    corners = torch.rand(count, 2, generator=random) * 100
    boxes = torch.cat([corners, corners + 20], 1)
    scores = torch.randint(0, 5, (count,), generator=random) / 4  # many are equal
    classes = torch.randint(0, 3, (count,), generator=random)
    kept = batched_nms(boxes, scores, classes, 0.5).tolist()
    by_index.append(all(i < j for i, j in pairwise(kept) if scores[i] == scores[j]))
    print(f"{count} boxes: ties by index {by_index[-1]}")
sys.exit(by_index != [True, False])
END
"$work/env/bin/python" "$work/ties.py"
