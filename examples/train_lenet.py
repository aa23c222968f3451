"""Train LeNet (section 7.6) for two epochs in a few lines: a model, a state, one jitted scan an epoch."""

from functools import partial

from flax import nnx

from d2l_jax import TrainState, data, fit, losses, make_eval_step, make_train_step, optim
from d2l_jax.models import LeNet
from d2l_jax.train import Loop

images = data.load("digits")
model, tx = LeNet(rngs=nnx.Rngs(0)), optim.SGD(lr=0.5)
loop = Loop(make_train_step(model, tx, losses.cross_entropy), make_eval_step(model, losses.cross_entropy))
order = partial(data.batch_order, len(images.train[1]), 32, seed=0)

state, records = fit(
    loop,
    TrainState.create(model, tx),
    images.train,
    images.test,
    order=lambda epoch: order(epoch=epoch),
    epochs=range(1, 3),
    callbacks=(lambda event: print(event.record) if event.record else None,),
)
