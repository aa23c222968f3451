"""Files and folders that appear whole or not at all, also where Ctrl-C is pressed while they are written."""

import os
import signal
import threading

import pytest

from d2l_jax.errors import InputError
from d2l_jax.write import check_writable, replacing, uninterrupted


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_waits_until_a_file_is_whole(tmp_path):
    path = tmp_path / "file"
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), replacing(path) as part:
        part.write_text("half")
        interrupt()
        part.write_text("whole")
    assert path.read_text() == "whole" and os.listdir(tmp_path) == ["file"]
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_waits_until_a_folder_is_whole(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").write_text("")
    with pytest.raises(KeyboardInterrupt), replacing(path) as part:
        part.mkdir()
        interrupt()
        (part / "new").write_text("")
    assert os.listdir(path) == ["new"] and os.listdir(tmp_path) == ["folder"]


def test_a_second_interrupt_is_not_held_and_the_old_file_stays(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    steps = []
    with pytest.raises(KeyboardInterrupt), replacing(path) as part:
        part.write_text("new")
        interrupt()
        steps.append("first")
        interrupt()
        steps.append("second")
    assert steps == ["first"] and path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_control_without_the_block_an_interrupt_is_there_at_once():
    steps = []
    with pytest.raises(KeyboardInterrupt):
        interrupt()
        steps.append("after")
    assert not steps


def test_other_threads_write_as_ever(tmp_path):
    errors = []

    def work():
        try:
            with uninterrupted():
                (tmp_path / "file").write_text("")
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not errors and (tmp_path / "file").exists()


def test_what_could_not_be_written_is_known_before(tmp_path):
    file = tmp_path / "file"
    file.write_text("old")
    check_writable({"--a": file, "--b": tmp_path / "new" / "deep", "--c": None}, folders=("--b",))
    assert file.read_text() == "old" and os.listdir(tmp_path) == ["file"]
    for files, words in (
        ({"--a": file / "below"}, "cannot write"),
        ({"--a": tmp_path}, "it is a folder"),
        ({"--a": file, "--b": file}, "--a and --b are both"),
    ):
        with pytest.raises(InputError, match=words):
            check_writable(files)
