"""Losses as pure functions: those of the book's models, which return a scalar, and PyTorch's 21.

PyTorch's have the names, options and conventions of `torch.nn.functional`; options are keywords. Classes are the last
axis, and shapes that would broadcast silently are refused.
"""

from d2l_jax.losses.adversarial import hinge_loss_D as hinge_loss_D
from d2l_jax.losses.adversarial import least_squares_loss_D as least_squares_loss_D
from d2l_jax.losses.adversarial import least_squares_loss_G as least_squares_loss_G
from d2l_jax.losses.adversarial import logistic_loss_D as logistic_loss_D
from d2l_jax.losses.adversarial import logistic_loss_G as logistic_loss_G
from d2l_jax.losses.adversarial import rpgan_loss_D as rpgan_loss_D
from d2l_jax.losses.adversarial import rpgan_loss_G as rpgan_loss_G
from d2l_jax.losses.adversarial import saturating_loss_G as saturating_loss_G
from d2l_jax.losses.adversarial import wasserstein_loss_D as wasserstein_loss_D
from d2l_jax.losses.adversarial import wasserstein_loss_G as wasserstein_loss_G
from d2l_jax.losses.bert import masked_word_loss as masked_word_loss
from d2l_jax.losses.book import cross_entropy as cross_entropy
from d2l_jax.losses.book import cross_entropy_of_probabilities as cross_entropy_of_probabilities
from d2l_jax.losses.book import half_mse as half_mse
from d2l_jax.losses.book import l2_penalty as l2_penalty
from d2l_jax.losses.book import masked_cross_entropy as masked_cross_entropy
from d2l_jax.losses.book import mse as mse
from d2l_jax.losses.book import pixel_cross_entropy as pixel_cross_entropy
from d2l_jax.losses.book import sum_cross_entropy as sum_cross_entropy
from d2l_jax.losses.book import sum_of_mses as sum_of_mses
from d2l_jax.losses.book import sum_squared_error as sum_squared_error
from d2l_jax.losses.classes import cross_entropy_loss as cross_entropy_loss
from d2l_jax.losses.classes import multi_margin_loss as multi_margin_loss
from d2l_jax.losses.classes import nll_loss as nll_loss
from d2l_jax.losses.ctc import ctc_loss as ctc_loss
from d2l_jax.losses.detection import detection_loss as detection_loss
from d2l_jax.losses.detection import focal_loss as focal_loss
from d2l_jax.losses.detection import smooth_l1 as smooth_l1
from d2l_jax.losses.embedding import cosine_embedding_loss as cosine_embedding_loss
from d2l_jax.losses.embedding import hinge_embedding_loss as hinge_embedding_loss
from d2l_jax.losses.embedding import margin_ranking_loss as margin_ranking_loss
from d2l_jax.losses.embedding import pairwise_distance as pairwise_distance
from d2l_jax.losses.embedding import triplet_margin_loss as triplet_margin_loss
from d2l_jax.losses.embedding import triplet_margin_with_distance_loss as triplet_margin_with_distance_loss
from d2l_jax.losses.labels import binary_cross_entropy as binary_cross_entropy
from d2l_jax.losses.labels import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from d2l_jax.losses.labels import multilabel_margin_loss as multilabel_margin_loss
from d2l_jax.losses.labels import multilabel_soft_margin_loss as multilabel_soft_margin_loss
from d2l_jax.losses.labels import soft_margin_loss as soft_margin_loss
from d2l_jax.losses.likelihood import gaussian_nll_loss as gaussian_nll_loss
from d2l_jax.losses.likelihood import kl_div as kl_div
from d2l_jax.losses.likelihood import poisson_nll_loss as poisson_nll_loss
from d2l_jax.losses.ranking import bpr_loss as bpr_loss
from d2l_jax.losses.ranking import hinge_ranking_loss as hinge_ranking_loss
from d2l_jax.losses.recommending import click_loss as click_loss
from d2l_jax.losses.recommending import observed_squared_error as observed_squared_error
from d2l_jax.losses.regression import huber_loss as huber_loss
from d2l_jax.losses.regression import l1_loss as l1_loss
from d2l_jax.losses.regression import mse_loss as mse_loss
from d2l_jax.losses.regression import smooth_l1_loss as smooth_l1_loss
from d2l_jax.losses.words import glove_loss as glove_loss
from d2l_jax.losses.words import hierarchical_softmax_loss as hierarchical_softmax_loss
from d2l_jax.losses.words import negative_sampling_loss as negative_sampling_loss
