#!/bin/sh
# nms removes a float32 box whose IoU is the threshold itself, where box_iou > threshold is false.
#
# One would guess: nms(boxes, scores, 0.3) removes what box_iou(boxes, boxes) > 0.3 says is too near, and in float64 the same boxes.
# What happens: it widens the float32 IoU to a double before it compares, and float32's 0.3 is above 0.3: a pair that shares 3 of 10 cells
#   loses a box. PyTorch's own comparison of a float32 tensor with 0.3 takes the threshold to float32, where they are equal.
# Versions: torchvision 0.29.2, torch 2.14.1, CPU, Python 3.11.
# Source: torchvision/csrc/ops/cpu/nms_kernel.cpp.
#
# Output seen:
#   box_iou > 0.3 in float32: False
#   nms keeps in float32: [0]
#   nms keeps in float64: [0, 1]
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q torch==2.14.1 torchvision==0.29.2 numpy
cat > "$work/nms.py" <<'END'
import sys

import torch
from torchvision.ops import box_iou, nms

boxes = torch.tensor([[0, 0, 6, 1], [3, 0, 10, 1]], dtype=torch.float32)
scores = torch.tensor([0.9, 0.8])
above = bool(box_iou(boxes, boxes)[0, 1] > 0.3)
single = nms(boxes, scores, 0.3).tolist()
double = nms(boxes.double(), scores.double(), 0.3).tolist()
print(f"box_iou > 0.3 in float32: {above}")
print(f"nms keeps in float32: {single}")
print(f"nms keeps in float64: {double}")
sys.exit((above, single, double) != (False, [0], [0, 1]))
END
"$work/env/bin/python" "$work/nms.py"
