"""Chapter 19: lines of a journal that no study wrote."""

import pytest

from d2l_jax.errors import InputError
from d2l_jax.search import BasicScheduler, Journal, LogUniform, RandomSearcher, Study
from d2l_jax.search.journal import NAME

SETTINGS = {"space": "x"}


@pytest.mark.parametrize("line", ["{}", '{"trial": 99}', '{"trial": 0, "at": 1, "epoch": 1, "error": 0.5}'])
def test_a_line_of_another_program_is_refused_by_its_number(tmp_path, line):
    (tmp_path / NAME).write_text(f'{{"study": {{"space": "x"}}}}\n{line}\n')
    scheduler = BasicScheduler(RandomSearcher({"x": LogUniform(0.1, 1)}))
    journal = Journal(tmp_path, SETTINGS, resume=True)
    with pytest.raises(InputError, match="trials.jsonl, line 2, is no event of a study"):
        Study(scheduler, print, journal)
    journal.close()
    (tmp_path / NAME).write_text("[1]\n")
    with pytest.raises(InputError, match=r"trials.jsonl, line 1, is no event of a study: \[1\]"):
        Journal(tmp_path, SETTINGS, resume=True)
