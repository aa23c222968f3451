"""What a run tells in a file, where no bar is seen."""

from types import SimpleNamespace

from d2l_jax.patience import Patience
from d2l_jax.runs import progress
from d2l_jax.runs.progress import Terminal
from d2l_jax.train import Event


def test_a_long_epoch_tells_where_it_is_and_a_short_one_nothing(capsys, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock.now))
    with Terminal() as terminal:
        terminal.begin(2)
        for epoch, seconds in ((1, 40), (2, 10)):
            for done in (1, 2, 3, 4, 5):
                clock.now += seconds
                terminal.event(Event(epoch, done, 5, None, None))
            terminal.line(f"epoch {epoch}")
    told = ["epoch 1/2  batch 2/5", "epoch 1/2  batch 4/5", "epoch 1", "epoch 2"]
    assert capsys.readouterr().out.splitlines() == told


def test_before_the_first_epoch_a_file_hears_what_is_done_and_afterwards_no_more(capsys):
    with Terminal() as terminal:
        patience = terminal.patience
        assert isinstance(patience, Patience) and patience.doing == "at work"
        terminal.begin(2)
        patience.tell(patience.doing)
        assert capsys.readouterr().out == "compiling, then the first batches\n" and not patience.over.is_set()
        terminal.event(Event(1, 1, 5, None, None))
        assert patience.over.is_set()
