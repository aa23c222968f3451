"""Draw the paths of chapter 12: gradient descent and Newton's method on a line, optimisers over contours."""

import argparse
import tempfile
from pathlib import Path

import jax

from d2l_jax import optim
from d2l_jax.algorithms import bowl, catenary, descend, gorge, newton, parabola, wave
from d2l_jax.runs.paths import Descent, draw_descents

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder", metavar="FOLDER", nargs="?", type=Path, help="for the pictures; else a temporary one")
folder = parser.parse_args().folder or Path(tempfile.mkdtemp())
start = (-5.0, -2.0)

line = [
    *(Descent(f"x², rate {eta}", parabola, descend(parabola, optim.SGD(eta), 10.0, 10)) for eta in (0.2, 0.05, 1.1)),
    Descent("x cos(0.15πx), rate 2", wave, descend(wave, optim.SGD(2.0), 10.0, 10)),
    Descent("Newton, cosh(x/2)", catenary, newton(catenary, 10.0)),
    Descent("Newton, x cos(0.15πx), half steps", wave, newton(wave, 10.0, eta=0.5)),
]

noise = jax.random.normal(jax.random.key(0), (50, 2))
falling = optim.LambdaLR(0.1, optim.polynomial_factor)
plane = [
    Descent("descent, rate 0.1", bowl, descend(bowl, optim.SGD(0.1), start)),
    Descent("stochastic, rate 0.1", bowl, descend(bowl, optim.SGD(0.1), start, 50, noise)),
    Descent("stochastic, falling rate", bowl, descend(bowl, optim.SGD(falling), start, 50, noise)),
    Descent("descent, rate 0.4", gorge, descend(gorge, optim.SGD(0.4), start)),
    Descent("descent, rate 0.6", gorge, descend(gorge, optim.SGD(0.6), start)),
    Descent("momentum 0.5, rate 0.6", gorge, descend(gorge, optim.SGD(0.6, momentum=0.5), start)),
    Descent("Adagrad, rate 2", gorge, descend(gorge, optim.AdagradScratch(2.0), start)),
    Descent("RMSProp, rate 0.4", gorge, descend(gorge, optim.RMSPropScratch(0.4, 0.9), start)),
    Descent("Adadelta, 100 steps", gorge, descend(gorge, optim.Adadelta(rho=0.9, eps=1e-3), start, 100)),
]

for name, descents in {"line.png": line, "plane.png": plane}.items():
    draw_descents(descents, folder / name)
    print(folder / name)
print(f"x² with rate 1.1 ends at {line[2].path[-1]:.3f}, away from its minimum at 0")
