"""The notebooks run, and the whole site builds without a warning."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from blocks import DOCS
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

MINUTES = {"same-run"}  # trains twice
NOTEBOOKS = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in MINUTES else [])
    for path in sorted((DOCS / "notebooks").glob("*.ipynb"))
]


@pytest.fixture(autouse=True)
def as_in_a_shell(monkeypatch):
    """Lets the cells find this checkout's packages and commands, and no data set but the embedded ones."""
    monkeypatch.setenv("PYTHONPATH", str(DOCS.parent))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("D2L_DATA", raising=False)


def run(notebook, folder: Path) -> None:
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS)
def test_a_notebook_runs_and_draws(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    run(notebook, tmp_path)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)


def test_control_a_cell_that_raises_is_seen(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    with pytest.raises(CellExecutionError, match="division by zero"):
        run(notebook, tmp_path)


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    sphinx = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", DOCS, tmp_path / "html"]
    result = subprocess.run(sphinx, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "html" / "book" / "chapter-11.html").exists()
