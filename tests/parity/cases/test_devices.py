"""Several devices agree with one, and with DistributedDataParallel; a share's mean or statistics are seen."""

import subprocess
import sys

import jax
import pytest

from d2l_jax import InputError
from d2l_jax.train.devices import mesh_of, sharded
from parity.cli import main

PLANTED = """
import jax
jax.config.update("jax_num_cpu_devices", 8)
from d2l_jax.catalog import get
from parity.proof.devices import Spread, check_sharded
from parity.sides.sharded import ShardedRun

def words(result):
    rows = result.rows.get("float64", [])
    return result.status, [str(r.key) for r in rows if not r.passed][:1], result.error

print(words(check_sharded(get("softmax"), Spread(8), steps=1)))
print(words(check_sharded(get("softmax"), Spread(8), steps=1, size=12)))

class Summed(ShardedRun):
    '''The means over the shards are added up, as a psum does where a pmean is right.'''
    def __init__(self, *arguments):
        super().__init__(*arguments)
        right = self.turns[0].objective
        def planted(nets, tensors):
            loss, more = right(nets, tensors)
            return loss * self.mesh.size, more
        self.turns = (self.turns[0]._replace(objective=planted),)

import parity.proof.devices as devices
def failing(*_, **__):
    raise RuntimeError("no such thing")
twin_of = devices.twin_of
devices.twin_of = failing
print(words(check_sharded(get("softmax"), Spread(8), steps=1)))
devices.twin_of = twin_of
devices.ShardedRun = Summed
print(words(check_sharded(get("softmax"), Spread(8), steps=1)))
"""


@pytest.mark.slow
def test_eight_devices_agree_with_one_and_a_planted_bug_is_caught():
    """A process of its own: JAX counts its devices once."""
    done = subprocess.run([sys.executable, "-c", PLANTED], capture_output=True, text=True)
    right, refused, broken, planted = done.stdout.splitlines()
    assert right == "('pass', [], '')", done.stderr
    assert "a batch of 12 does not divide over 8 devices" in refused
    assert broken == "('error', [], 'RuntimeError: no such thing')"
    assert planted.startswith("('fail', ['forward/loss']")


DISTRIBUTED = """
import jax
jax.config.update("jax_num_cpu_devices", 2)
import parity.proof.devices as devices
from d2l_jax.catalog import get

def words(name, batch_norm):
    result = devices.check_sharded(get(name), devices.Spread(2, ddp=True, batch_norm=batch_norm), steps=1)
    rows = result.rows.get("float64", [])
    return result.status, sorted({r.key.phase for r in rows if not r.passed}), result.error

if __name__ == "__main__":
    print(words("residual", "per-replica"))
    print(words("residual", "synchronised"))
    print(words("dropout-mlp", "synchronised"))
    print(words("bn-lenet-scratch", "synchronised"))
    devices.ReplicaRun = devices.ShardedRun  # statistics of the whole batch where PyTorch has those of a share
    print(words("residual", "per-replica"))
"""


@pytest.mark.slow
def test_two_devices_agree_with_two_processes_of_pytorchs(tmp_path):
    (tmp_path / "check.py").write_text(DISTRIBUTED)
    done = subprocess.run([sys.executable, "-W", "ignore", tmp_path / "check.py"], capture_output=True, text=True)
    replicas, synchronised, drawing, of_scratch, planted = done.stdout.splitlines() or [done.stderr] * 5
    assert replicas == synchronised == "('pass', [], '')", done.stderr
    assert "dropout-mlp draws random numbers" in drawing
    assert "(BatchNormScratch) is no BatchNorm of PyTorch's" in of_scratch
    assert planted.startswith("('fail', ['buffers', 'forward', 'gradients'")


@pytest.mark.parametrize(
    "options, words",
    [
        (("--batch-norm", "per-replica"), "is not what one device computes; it is compared with --ddp"),
        (("--steps", "0"), "--steps 0 is too few; 1 or more is right"),
        (("--full", "--jobs", "2"), "it does not go with --full, --jobs"),
        (("--bfloat16",), "it does not go with --bfloat16"),
    ],
)
def test_options_that_cannot_be_are_one_line(options, words, capsys):
    with pytest.raises(SystemExit) as exit:
        main(["check", "my-linear", "--devices", "2", *options])
    message = capsys.readouterr().err
    assert exit.value.code == 2 and words in message and message.count("\n") == 1


@pytest.mark.slow
def test_the_command(capsys):
    with pytest.raises(SystemExit) as exit:
        main(["check", "my-linear", "gan", "--devices", "2", "--steps", "1"])
    assert exit.value.code == 0 and "2 of 2 cases pass" in capsys.readouterr().out
    with pytest.raises(SystemExit) as exit:
        main(["check", "gan", "--devices", "3", "--steps", "1"])
    assert exit.value.code == 2 and "a batch of 8 does not divide over 3 devices" in capsys.readouterr().out


@pytest.mark.parametrize("devices", ["0", "100000"])
def test_a_number_of_devices_that_cannot_be(devices: str, capsys):
    with pytest.raises(SystemExit) as exit:
        main(["check", "my-linear", "--devices", devices])
    assert exit.value.code == 2 and f"error: --devices {devices} is out of range" in capsys.readouterr().err


def test_more_devices_than_there_are():
    here = len(jax.devices())
    with pytest.raises(InputError, match=f"--devices {here + 1}: there are {here} here"):
        mesh_of(here + 1)


def test_a_batch_of_one_device_is_whole():
    assert sharded({"input": jax.numpy.ones((3, 2))}, mesh_of(1))["input"].shape == (3, 2)
