"""Cases of chapter 9 and of sections 10.1 to 10.4."""

from functools import partial

from d2l_jax import losses, models, optim
from d2l_jax.case import supervised, tokens
from d2l_jax.generate.afterwards import Continued
from d2l_jax.metrics import perplexity

PERPLEXITY = {"perplexity": perplexity}
LM = partial(
    supervised,
    inputs=(tokens((1024, 32), 28),),
    args={"vocab_size": 28, "num_hiddens": 32},
    probe={"vocab_size": 11, "num_hiddens": 7},
    probe_inputs=(tokens((5, 9), 11),),
    metrics=PERPLEXITY,
    loss=losses.cross_entropy,
    clip=1.0,
    afterwards=Continued(),
    data="time_machine",
)
Block = partial(
    supervised, probe={"num_inputs": 9, "num_hiddens": 7}, probe_inputs=(5, 3, 9), labels=False, loss=losses.sum_of_mses
)
SGD1, SGD2, SGD4 = (partial(optim.SGD, lr=lr) for lr in (1.0, 2.0, 4.0))

RECURRENT = (
    supervised(
        "sequence-regression",
        "9.1",
        "LinearRegression (autoregressive, tau=4)",
        models.LinearRegression,
        (16, 4),
        args={"in_features": 4},
        probe={"in_features": 7},
        probe_inputs=(5, 7),
        labels=False,
        loss=losses.mse,
        optimizer=partial(optim.SGD, lr=0.01),
        data="noisy_sine",
        epochs=5,
    ),
    Block(
        "rnn-scratch",
        "9.5",
        "RNNScratch",
        models.RNNScratch,
        (100, 2, 16),
        args={"num_inputs": 16, "num_hiddens": 32},
    ),
    LM("rnn-lm-scratch", "9.5", "RNNLMScratch + RNNScratch", models.rnn_lm_scratch, optimizer=SGD1, epochs=100),
    LM("rnn-lm", "9.6", "RNNLM + RNN", models.rnn_lm, optimizer=SGD1, epochs=100),
    LM("lstm-lm-scratch", "10.1", "RNNLMScratch + LSTMScratch", models.lstm_lm_scratch, optimizer=SGD4, epochs=50),
    LM("lstm-lm", "10.1", "RNNLM + LSTM", models.lstm_lm, optimizer=SGD4, epochs=50),
    LM("gru-lm-scratch", "10.2", "RNNLMScratch + GRUScratch", models.gru_lm_scratch, optimizer=SGD4, epochs=50),
    LM("gru-lm", "10.2", "RNNLM + GRU (1 layer)", models.gru_lm, optimizer=SGD4, epochs=50),
    LM(
        "stacked-rnn-lm-scratch",
        "10.3",
        "RNNLMScratch + StackedRNNScratch",
        models.stacked_rnn_lm_scratch,
        args={"vocab_size": 28, "num_hiddens": 32, "num_layers": 2},
        probe={"vocab_size": 11, "num_hiddens": 7, "num_layers": 3},
        optimizer=SGD2,
        epochs=100,
    ),
    LM(
        "deep-gru-lm",
        "10.3",
        "RNNLM + GRU (2 layers)",
        models.deep_gru_lm,
        args={"vocab_size": 28, "num_hiddens": 32, "num_layers": 2},
        probe={"vocab_size": 11, "num_hiddens": 7, "num_layers": 3, "dropout": 0.3},
        optimizer=SGD2,
        epochs=100,
    ),
    Block(
        "birnn-scratch",
        "10.4",
        "BiRNNScratch",
        models.BiRNNScratch,
        (32, 4, 28),
        args={"num_inputs": 28, "num_hiddens": 32},
    ),
    Block(
        "bigru",
        "10.4",
        "BiGRU",
        models.BiGRU,
        (32, 4, 28),
        args={"num_inputs": 28, "num_hiddens": 32},
    ),
)
