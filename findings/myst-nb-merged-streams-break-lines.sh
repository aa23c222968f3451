#!/bin/sh
# A page of a notebook shows words cut in two, where MyST-NB has been asked to merge what a cell printed.
#
# One would guess: nb_merge_streams joins the pieces in which a cell's output came, so that the page shows what a terminal shows.
# What happens: each piece loses the white space at its end and gets a line break instead. A kernel cuts its output where it happens
#   to flush, so a line that came in two pieces stands on two lines, and empty lines between pieces are gone.
# Versions: myst-nb 1.4.0, sphinx 8.2.3, nbformat 5.10.4, Python 3.11.
# Source: myst_nb/core/utils.py, coalesce_streams: text.rstrip() and a line break for each output.
#
# Output seen:
#   printed: 'epoch 1 loss 0.25\n\nepoch 2 loss 0.125\n'
#   on the page: 'epoch 1\nloss 0.25\nepoch 2\nloss 0.125\n'
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q myst-nb==1.4.0 sphinx==8.2.3 nbformat==5.10.4 beautifulsoup4
cat > "$work/pages.py" <<'END'
import pathlib
import sys
import tempfile

import nbformat
from bs4 import BeautifulSoup
from nbformat import v4
from sphinx.cmd.build import build_main

pieces = ["epoch 1 ", "loss 0.25\n\n", "epoch 2 ", "loss 0.125\n"]
outputs = [v4.new_output("stream", name="stdout", text=text) for text in pieces]
cell = v4.new_code_cell("train()", outputs=outputs, execution_count=1)
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "conf.py").write_text("extensions = ['myst_nb']\n")
language = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
page = v4.new_notebook(cells=[v4.new_markdown_cell("# Page"), cell], metadata=language)
nbformat.write(page, folder / "index.ipynb")
options = ["-D", "nb_execution_mode=off", "-D", "nb_merge_streams=1"]
build_main(["-q", "-b", "html", *options, str(folder), str(folder / "html")])
html = BeautifulSoup((folder / "html" / "index.html").read_text(), "html.parser")
(shown,) = (part.get_text() for part in html.select(".cell_output pre"))
print(f"printed: {''.join(pieces)!r}")
print(f"on the page: {shown!r}")
sys.exit(shown != "epoch 1\nloss 0.25\nepoch 2\nloss 0.125\n")
END
"$work/env/bin/python" "$work/pages.py"
