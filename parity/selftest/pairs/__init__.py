"""The correct twins: one for each family of layers, all small."""

from parity.selftest.pairs.bodies import AVERAGED, CAUSAL, CROPPED, GATED, JOINT
from parity.selftest.pairs.bounded import POLICY
from parity.selftest.pairs.dense import ACTIVATIONS, COLUMN, DEEP, MLP, SMALL, TWO_HEADS
from parity.selftest.pairs.detectors import DETECTOR
from parity.selftest.pairs.flows import CROSSED, FLOW
from parity.selftest.pairs.images import CNN, CONV1D, NORMS, POOLS, RESIZING, TIES, TRANSPOSED
from parity.selftest.pairs.sequences import ATTENTION, LOOKUP, RECURRENT, TEXT
from parity.selftest.pairs.usual import GROUPED, LOOPED
from parity.selftest.pairs.written import BAG, DROPPING, FAR_IMAGES, FAR_ROWS, GPT, UPSCALING, VISION

PAIRS = (
    *(MLP, CNN, CONV1D, TRANSPOSED, NORMS, ACTIVATIONS, POOLS, TIES, RESIZING, ATTENTION, RECURRENT, TEXT, LOOKUP),
    *(TWO_HEADS, DEEP, SMALL, COLUMN),
    *(GROUPED, LOOPED, DETECTOR),
    *(VISION, GPT, UPSCALING, BAG, FAR_ROWS, FAR_IMAGES, DROPPING),
    *(GATED, JOINT, CAUSAL, CROPPED, AVERAGED),
    *(FLOW, CROSSED, POLICY),
)  # fmt: skip
