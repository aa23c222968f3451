"""`d2l-jax show`: the layers in PyTorch's order with what they put out, and both sources side by side."""

import json
from pathlib import Path

import pytest
from flax import nnx

from d2l_jax import errors, nn
from d2l_jax.case import supervised
from d2l_jax.cases.editions import chinese
from d2l_jax.catalog import CASES, get
from d2l_jax.cli import main
from d2l_jax.runs import twin_sources
from d2l_jax.runs.details import layer_row, size_text, training
from d2l_jax.runs.layers import layers_of, recorded
from d2l_jax.runs.overview import overview
from d2l_jax.runs.places import places
from d2l_jax.runs.twin_sources import aligned, definitions, side_by_side, twin_lines
from parity.models.calls import torch_calls
from parity.twin.torch_side import torch_model

QUICK = ["weight-decay-scratch", "lenet", "bn-lenet", "tied-mlp", "chimera", "gru-lm", "seq2seq", "vit-block", "gan"]
ROWS = {row["name"]: row for row in overview()}


@pytest.mark.parametrize("name", QUICK)
def test_parameters_of_the_layers_add_up(name: str):
    assert sum(layer.parameters for layer in layers_of(get(name))) == ROWS[name]["parameters"]


@pytest.mark.parametrize("name", ["lenet", "chimera", "seq2seq", "transformer-encoder-block"])
def test_layers_have_the_order_of_pytorch(name: str):
    theirs = dict.fromkeys(key.rpartition(".")[0] for key in torch_model(get(name)).state_dict())
    assert [layer.name for layer in layers_of(get(name)) if layer.tensors] == list(theirs)


def test_outputs_are_those_of_pytorch_channels_last():
    import torch

    case = get("lenet")
    model = torch_model(case)
    with torch.no_grad(), torch_calls(model) as calls:
        model(torch.zeros(128, 1, 28, 28))
    theirs = {call.name: tuple(call.output.shape) for call in calls}
    ours = {layer.name: layer.outputs[0] for layer in layers_of(case)}
    assert len(ours) == 14
    assert ours == {name: (s[0], *s[2:], s[1]) if len(s) == 4 else s for name, s in theirs.items()}


def test_a_module_in_two_places_counts_once():
    layers = {layer.name: layer for layer in layers_of(get("tied-mlp"))}
    assert (layers["2"].calls, layers["2"].parameters) == (2, 72)
    assert (layers["4"].same_as, layers["4"].parameters) == ("2", 0)
    assert layer_row(layers["4"], "tied-mlp") == ("4", "Linear", "2x8", "as 2", "")


def test_control_a_layer_that_is_not_called_puts_out_nothing():
    class Lazy(nnx.Module):
        def __init__(self, *, rngs: nnx.Rngs):
            self.used = nnx.Linear(3, 2, rngs=rngs)
            self.unused = nnx.Linear(2, 5, rngs=rngs)

        def __call__(self, x):
            return self.used(x)

    layers = {layer.name: layer for layer in layers_of(supervised("lazy", "", "", Lazy, (7, 3)))}
    assert layers["used"].outputs == ((7, 2),)
    assert layers["unused"].outputs == ()
    assert layer_row(layers["unused"], "lazy") == ("unused", "Linear", "-", "15", "kernel 2x5, bias 5")


def test_classes_are_as_before_after_an_error():
    model = nn.Sequential(nnx.Linear(3, 2, rngs=nnx.Rngs(0)))
    before = {kind: vars(kind).get("__call__") for kind in (nnx.Linear, nn.Sequential)}
    with pytest.raises(TypeError), recorded(model):
        model(None)  # type: ignore[arg-type]
    assert {kind: vars(kind).get("__call__") for kind in before} == before


def test_the_page_has_both_editions_layers_totals_and_training(capsys: pytest.CaptureFixture[str]):
    main(["show", "lenet"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    head = "lenet LeNet, section 7.6 (Chinese edition 6.6) d2l_jax.models.lenet.LeNet"
    assert lines[0] == head.split()
    assert ["net.3", "Conv2d", "128x10x10x16", "2,416", "kernel", "5x5x6x16,", "bias", "16"] in lines
    assert ["total", "61,706", "parameters,", "0.2", "MB"] in lines
    assert ["training", "optimizer", "SGD", "(lr", "0.1)"] in lines


def test_each_turn_has_its_training(capsys: pytest.CaptureFixture[str]):
    main(["show", "dcgan"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["training", "data", "sprites"] in lines
    for net in ("discriminator", "generator"):
        assert ["training", net, "optimizer", "Adam", "(lr", "0.005,", "betas", "(0.5,", "0.999))"] in lines
        assert ["training", net, "loss", f"{net}_loss"] in lines


@pytest.mark.parametrize("case", [case for case in CASES if case.data], ids=lambda case: case.name)
def test_every_training_is_told(case):
    told = training(case)
    assert told["data"].startswith(case.data)
    assert len([name for name in told if name.endswith("loss")]) == len(case.turns)


def test_frozen_parameters_are_told_apart(capsys: pytest.CaptureFixture[str]):
    main(["show", "frozen-features"])
    assert "514 parameters, 34 trained, 2,056 bytes" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["gan", "box-iou", "valley"])
def test_json_has_what_the_page_has(name: str, tmp_path: Path):
    main(["show", name, "--json", str(tmp_path / "show.json")])
    told = json.loads((tmp_path / "show.json").read_text())
    assert told["parameters"] == ROWS[name]["parameters"] == sum(layer["parameters"] for layer in told["layers"])
    assert told["section_zh"] == chinese(get(name).section)


def test_sizes_have_units():
    assert (size_text(2056), size_text(515_224_616)) == ("2,056 bytes", "515.2 MB")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_model_stands_beside_its_twin(case):
    ours, theirs = zip(*twin_lines(places(case)), strict=True)
    for name in (place.rpartition(".")[2] for place in places(case)):
        for lines in (ours, theirs):
            assert any(line.startswith((f"class {name}", f"def {name}")) for line in lines), name


def test_lines_that_say_the_same_stand_beside_each_other():
    pairs = twin_lines(["d2l_jax.models.lenet.LeNet"])
    assert pairs[0] == ("# d2l_jax/models/lenet.py", "# parity/reference/lenet.py")
    assert ("            nn.AvgPool2d(2),", "            nn.AvgPool2d(2),") in pairs
    assert ("            nn.Conv2d(6, 16, 5, rngs=rngs),", "            nn.Conv2d(6, 16, 5),") in pairs
    assert ("        init_cnn(self, rngs=rngs)", "        init_cnn(self)") in pairs


def test_control_other_lines_stand_alone():
    assert aligned(["a", "b", "same"], ["same", "c"]) == [("a", ""), ("b", ""), ("same", "same"), ("", "c")]


def test_what_a_model_uses_of_its_file_is_shown_and_nothing_else():
    source = "def used():\n    return 1\n\n\ndef other():\n    pass\n\n\nclass Net:\n    size = used()\n"
    assert definitions(source, ["Net"]) == ["", "def used():", "    return 1", "", "class Net:", "    size = used()"]
    with pytest.raises(errors.InputError, match="Nothing has no source"):
        definitions(source, ["Nothing"])


def test_both_columns_or_one_below_the_other():
    pairs = [("ours", "theirs"), ("", "more")]
    assert side_by_side(pairs, None) == side_by_side(pairs, 13) == ["ours | theirs", "     | more"]
    assert side_by_side(pairs, 12) == ["ours", "", "theirs", "more"]


def test_without_the_twins_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(twin_sources, "entry_points", lambda **names: [])
    with pytest.raises(errors.InputError, match=r"--twin needs the PyTorch twins: pip install 'd2l-jax\[parity\]'"):
        twin_lines(["d2l_jax.models.lenet.LeNet"])


SECTIONS = {"3.4": "3.2", "4.4": "3.6", "5.7": "4.10", "7.6": "6.6", "8.6": "7.6", "10.1": "9.2", "10.2": "9.1"}
SECTIONS |= {"11.7": "10.7", "14.4": "13.4", "16.7": "15.7", "8.8": "", "11.8": "", "20.1": "", "A3": ""}


def test_sections_of_the_chinese_edition():
    assert {section: chinese(section) for section in SECTIONS} == SECTIONS
