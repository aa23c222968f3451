"""Text from trained models: continuations, translations, and their BLEU score."""

from d2l_jax.generate.beam import make_beam_search as make_beam_search
from d2l_jax.generate.bleu import bleu as bleu
from d2l_jax.generate.complete import make_completion as make_completion
from d2l_jax.generate.greedy import make_greedy as make_greedy
from d2l_jax.generate.greedy import until_eos as until_eos
