"""The layers that Flax lacks or computes differently from PyTorch. For the rest, `flax.nnx`."""

from d2l_jax.nn.activation import leaky_relu as leaky_relu
from d2l_jax.nn.affine import Conv1d as Conv1d
from d2l_jax.nn.affine import Conv2d as Conv2d
from d2l_jax.nn.affine import Linear as Linear
from d2l_jax.nn.batch_norm import BatchNorm as BatchNorm
from d2l_jax.nn.buffer import Bound as Bound
from d2l_jax.nn.buffer import Buffer as Buffer
from d2l_jax.nn.embedding import Embedding as Embedding
from d2l_jax.nn.flatten import flatten as flatten
from d2l_jax.nn.layer_norm import LayerNorm as LayerNorm
from d2l_jax.nn.pool import AdaptiveAvgPool2d as AdaptiveAvgPool2d
from d2l_jax.nn.pool import AdaptiveMaxPool2d as AdaptiveMaxPool2d
from d2l_jax.nn.pool import AvgPool2d as AvgPool2d
from d2l_jax.nn.pool import MaxPool2d as MaxPool2d
from d2l_jax.nn.recurrent.layers import GRU as GRU
from d2l_jax.nn.recurrent.layers import LSTM as LSTM
from d2l_jax.nn.recurrent.layers import RNN as RNN
from d2l_jax.nn.recurrent.steps import gru_step as gru_step
from d2l_jax.nn.recurrent.steps import lstm_step as lstm_step
from d2l_jax.nn.recurrent.steps import rnn_step as rnn_step
from d2l_jax.nn.sequential import Sequential as Sequential
from d2l_jax.nn.sizes import map_size as map_size
from d2l_jax.nn.sizes import output_size as output_size
from d2l_jax.nn.spectral import SpectralConv2d as SpectralConv2d
from d2l_jax.nn.spectral import SpectralLinear as SpectralLinear
from d2l_jax.nn.transposed import ConvTranspose2d as ConvTranspose2d
