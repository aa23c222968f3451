#!/bin/sh
# A view in evaluation mode leaves modules of one's own in training mode.
#
# One would guess: nnx.view(model, deterministic=True, use_running_average=True) is a copy of the model on which eval() was
#   called, which sets these two attributes in all nested modules that have them.
# What happens: eval() sets the attributes of every module, nnx.view calls set_view, which Flax's own layers have. A batch
#   normalisation or a dropout that somebody wrote, with the very attribute that eval() switches, stays in training beside
#   Flax's layers that do not: the view mixes both modes, and raises nothing as long as one layer knows each attribute.
# Versions: flax 0.12.8, jax and jaxlib 0.10.2, Python 3.11.
# Source: flax/nnx/module.py, set_attributes and view.
#
# Output seen:
#   eval(): own True, Flax's True; nnx.view: own False, Flax's True
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q jax==0.10.2 jaxlib==0.10.2 flax==0.12.8 numpy
cat > "$work/modes.py" <<'END'
import sys

from flax import nnx


class Own(nnx.Module):
    def __init__(self):
        self.use_running_average = False


class Net(nnx.Module):
    def __init__(self):
        self.own, self.norm = Own(), nnx.BatchNorm(3, rngs=nnx.Rngs(0))


def modes(net):
    return net.own.use_running_average, net.norm.use_running_average


evaluated = Net()
evaluated.eval()
viewed = nnx.view(Net(), deterministic=True, use_running_average=True, raise_if_not_found=False)
called, seen = modes(evaluated), modes(viewed)
print(f"eval(): own {called[0]}, Flax's {called[1]}; nnx.view: own {seen[0]}, Flax's {seen[1]}")
sys.exit((called, seen) != ((True, True), (False, True)))
END
"$work/env/bin/python" "$work/modes.py"
