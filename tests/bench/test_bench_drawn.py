"""Steps of a detector and of style transfer are timed; of other drawn batches one line says no."""

from dataclasses import replace

import numpy as np
import pytest
from small_bench import bench

from d2l_jax.case import Case
from d2l_jax.catalog import get
from d2l_jax.errors import InputError
from d2l_jax.models.ssd import SIZES
from parity.bench import torch_programs
from parity.bench.batch import random_batch
from parity.bench.document import to_json
from parity.bench.epochs import epoch_comparison
from parity.bench.scale import scale
from parity.bench.whole_runs import whole_run
from parity.reference import StyleTransfer

STYLE = replace(get("style-transfer-vgg16"), args=get("style-transfer-vgg16").probe)
SSD = replace(
    get("tiny-ssd"), inputs=(2, 35, 67, 3), args={"num_classes": 1, "channels": (3, 4, 5, 6), "sizes": SIZES[:4]}
)


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.slow) for case in (SSD, STYLE)], ids=["tiny-ssd", "style-transfer"]
)
def test_a_step_is_timed_once_its_losses_agree(case: Case):
    outcome = bench(case, batch_size=None if case is STYLE else 2)
    assert outcome.status in ("ok", "disturbed"), (outcome.error, outcome.training.gaps, outcome.evaluation.gaps)
    assert outcome.inputs == ((1, 37, 46, 3) if case is STYLE else (2, 35, 67, 3)) and outcome.flops
    first, last = (outcome.training.started["torch_eager"].losses[place] for place in (0, -1))
    assert first != last  # it learns
    assert to_json([outcome], {})["cases"][0]["jax"]["step_s"] > 0


@pytest.mark.slow
def test_another_loss_of_the_style_is_found(monkeypatch):
    right = StyleTransfer.__call__
    monkeypatch.setattr(StyleTransfer, "__call__", lambda *args: (right(*args)[0] * 1.001, {}))
    assert bench(STYLE, batch_size=None).status == "disagree"


@pytest.mark.slow
def test_only_the_image_has_gradients_in_pytorch():
    model = torch_programs.loaded(STYLE, STYLE.build())
    batch = torch_programs.torch_batch(random_batch(STYLE, 1), "cpu")
    targets = torch_programs.torch_led(STYLE, model, batch)
    assert set(targets) == {"contents", "grams"}
    assert not any(each.requires_grad for each in targets["grams"])
    torch_programs.torch_steps(STYLE, model, targets)()
    assert [name for name, p in model.named_parameters() if p.grad is not None] == ["image.weight"]


def test_the_pictures_have_the_size_of_the_image():
    tensors = random_batch(get("style-transfer"), 1).tensors
    assert list(tensors) == ["content", "style"]
    for array in tensors.values():
        assert array.shape == (1, 300, 450, 3) and array.dtype == np.float32 and np.ptp(array) > 1


def test_one_image_has_no_batch():
    assert bench(STYLE, batch_size=4).error == "it learns one image; leave --batch-size out"


@pytest.mark.parametrize("name", ["gan", "style-transfer"])
@pytest.mark.parametrize("timed", [epoch_comparison, whole_run, lambda case: scale([case])])
def test_what_has_no_inputs_is_one_line(name: str, timed):
    with pytest.raises(InputError, match="is right"):
        timed(get(name))


def test_a_case_of_several_turns_is_one_line_and_a_document():
    outcome = bench(get("gan"))
    assert outcome.error.startswith("its batches are drawn") and to_json([outcome], {})["cases"][0]["batch"] == 0


@pytest.mark.parametrize(
    "name, shapes",
    [("bert-wikitext2", [(4, 10), (4, 10), (4,)]), ("word2vec-ptb", [(4, 60)] * 2), ("word2vec-cbow", [(4, 6)] * 2)],
)
def test_several_drawn_targets_have_the_sizes_of_their_inputs(name: str, shapes: list[tuple[int, ...]]):
    targets = random_batch(get(name), 4).tensors["targets"]
    assert [target.shape for target in targets] == shapes
    assert all(target.any() for target in targets)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["word2vec-ptb", "bert-wikitext2"])
def test_a_step_with_several_targets_is_timed_once_its_losses_agree(name: str):
    case = get(name)
    sizes = {key: value for key, value in case.probe.items() if key in case.args}
    outcome = bench(replace(case, args=case.args | sizes, inputs=case.probe_arrays))
    assert outcome.status in ("ok", "disturbed"), (outcome.error, outcome.training.gaps, outcome.evaluation.gaps)
    assert len({*outcome.training.started["jax"].losses}) > 1  # it learns


def test_control_drawn_targets_that_go_with_no_input_are_refused():
    case = replace(get("bert-wikitext2"), draw=lambda random: {"targets": (np.zeros((5, 3)), np.zeros((5, 4)))})
    with pytest.raises(InputError, match=r"bert-wikitext2 draws targets of the check's sizes, \(5, 4\)"):
        random_batch(case, 2)
