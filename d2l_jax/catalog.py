"""All cases, in the order of the book; those of the study notes come last."""

from d2l_jax import errors
from d2l_jax.case import Case
from d2l_jax.cases.attention import BLOCKS, SCORING, TRANSFORMERS, VISION
from d2l_jax.cases.bert import BERT, CLASSIFIERS
from d2l_jax.cases.builders import BUILDERS
from d2l_jax.cases.cnn import CNN, MOBILE
from d2l_jax.cases.detection import DETECTION
from d2l_jax.cases.gaussian_processes import GAUSSIAN_PROCESSES
from d2l_jax.cases.inference import SENTENCES
from d2l_jax.cases.linear import LINEAR, MLP, NOTES
from d2l_jax.cases.optimization import OPTIMIZATION
from d2l_jax.cases.performance import PERFORMANCE
from d2l_jax.cases.planning import PLANNING
from d2l_jax.cases.recommending import RECOMMENDING
from d2l_jax.cases.recurrent import RECURRENT
from d2l_jax.cases.segmentation import SEGMENTATION
from d2l_jax.cases.statistics import STATISTICS
from d2l_jax.cases.translation import BAHDANAU, TRANSLATION
from d2l_jax.cases.turns import GAN
from d2l_jax.cases.vision import FINE_TUNING, KAGGLE
from d2l_jax.cases.words import WORD_VECTORS

CHAPTER_11 = SCORING + BAHDANAU + BLOCKS + TRANSFORMERS + VISION
FIRST = LINEAR + MLP + BUILDERS + CNN + RECURRENT + TRANSLATION + CHAPTER_11 + OPTIMIZATION
CHAPTER_14 = FINE_TUNING + DETECTION + SEGMENTATION + KAGGLE
CHAPTERS_15_AND_16 = WORD_VECTORS + BERT + SENTENCES + CLASSIFIERS
THIRD = CHAPTERS_15_AND_16 + PLANNING + GAUSSIAN_PROCESSES + GAN + RECOMMENDING + STATISTICS
CASES: tuple[Case, ...] = FIRST + PERFORMANCE + CHAPTER_14 + THIRD + NOTES + MOBILE


def get(name: str) -> Case:
    """The case called `name`."""
    for case in CASES:
        if case.name == name:
            return case
    raise errors.one_of("model", name, [case.name for case in CASES])
