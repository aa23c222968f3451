"""Algorithms without parameters: they are traced and compiled like everything else."""

from d2l_jax.algorithms.anchors import Anchors as Anchors
from d2l_jax.algorithms.anchors import multibox_prior as multibox_prior
from d2l_jax.algorithms.assignment import BoxTarget as BoxTarget
from d2l_jax.algorithms.assignment import BoxTargets as BoxTargets
from d2l_jax.algorithms.assignment import assign_anchor_to_bbox as assign_anchor_to_bbox
from d2l_jax.algorithms.assignment import multibox_target as multibox_target
from d2l_jax.algorithms.assignment import offset_boxes as offset_boxes
from d2l_jax.algorithms.assignment import offset_inverse as offset_inverse
from d2l_jax.algorithms.boxes import BoxConversions as BoxConversions
from d2l_jax.algorithms.boxes import BoxOverlaps as BoxOverlaps
from d2l_jax.algorithms.boxes import box_area as box_area
from d2l_jax.algorithms.boxes import box_center_to_corner as box_center_to_corner
from d2l_jax.algorithms.boxes import box_corner_to_center as box_corner_to_center
from d2l_jax.algorithms.boxes import box_iou as box_iou
from d2l_jax.algorithms.descent import bowl as bowl
from d2l_jax.algorithms.descent import catenary as catenary
from d2l_jax.algorithms.descent import descend as descend
from d2l_jax.algorithms.descent import gorge as gorge
from d2l_jax.algorithms.descent import newton as newton
from d2l_jax.algorithms.descent import parabola as parabola
from d2l_jax.algorithms.descent import wave as wave
from d2l_jax.algorithms.detection import Detections as Detections
from d2l_jax.algorithms.detection import multibox_detection as multibox_detection
from d2l_jax.algorithms.nms import Selection as Selection
from d2l_jax.algorithms.nms import batched_nms as batched_nms
from d2l_jax.algorithms.nms import nms as nms
