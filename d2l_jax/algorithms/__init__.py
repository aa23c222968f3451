"""Algorithms without parameters: pure functions of arrays, and as evaluations of named tensors."""

from d2l_jax.algorithms.boxes import BoxOverlaps as BoxOverlaps
from d2l_jax.algorithms.boxes import box_iou as box_iou
