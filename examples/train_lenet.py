"""Train LeNet (section 7.6) for two epochs in a few lines: a model, a state, one jitted scan an epoch."""

from functools import partial

from flax import nnx

from d2l_jax import Observed, TrainState, data, fit, losses, make_eval_step, make_train_step, optim, supervised
from d2l_jax.models import LeNet
from d2l_jax.train import Loop

images = data.load("digits")
train, test = ({"input": X, "targets": y} for X, y in (images.train, images.test))
model = LeNet(rngs=nnx.Rngs(0))
turns = supervised(losses.cross_entropy, optim.SGD(lr=0.5))
loop = Loop(make_train_step(model, turns), make_eval_step(model, Observed(losses.cross_entropy)))
order = partial(data.batch_order, len(images.train[1]), 32, seed=0)

state, means = fit(
    loop,
    TrainState.create(model, turns),
    train,
    test,
    order=lambda epoch: order(epoch=epoch),
    epochs=range(1, 3),
    callbacks=(lambda event: print(event.means) if event.means else None,),
)
