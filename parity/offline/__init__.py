"""Two environments that cannot be one: each records its side into a file, and a third that has numpy alone compares.

    parity record lenet --side torch --out torch.npz
    parity record lenet --side flax --given torch.npz --out flax.npz
    python -m parity.offline torch.npz flax.npz          (or `parity compare`)

PyTorch's file holds all that Flax's side needs: states, batches and random numbers.
"""

from parity.offline.comparing import compare_recordings as compare_recordings
from parity.offline.file import Recording as Recording
from parity.offline.file import load as load
from parity.offline.file import save as save
