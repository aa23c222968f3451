"""The weight map between any PyTorch module and a Flax model that was never written to match it.

Found by values: PyTorch runs once with random weights, and Flax runs on the same inputs; a layer of Flax's is the
partner of the layer of PyTorch's that saw the same input. What PyTorch's layer gave is then handed on, so that a
layer that computes something else does not hide those behind it.
"""

from parity.match.by_map import load_by_map as load_by_map
from parity.match.mapping import Map as Map
from parity.match.mapping import map_of as map_of
from parity.match.maps import load_map as load_map
from parity.match.maps import save_map as save_map
from parity.match.maps import told_map as told_map
from parity.match.search import match as match
