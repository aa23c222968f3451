"""Sets up Sphinx: pages in Markdown, those with cells run by MyST-NB; `make docs` builds them, warnings are errors."""

import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent
BUILD = DOCS / "_build"
sys.path[:0] = [str(ROOT), str(DOCS / "programs")]

import docstrings  # noqa: E402
import myst_nb.core.render  # noqa: E402
import programs_as_pages  # noqa: E402
import streams  # noqa: E402

import d2l_jax  # noqa: E402

# What the cells of the pages run: this checkout's packages and commands, plain text, no data set but the embedded ones.
os.environ["PYTHONPATH"] = str(ROOT)
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ |= {"COLUMNS": "96", "TTY_COMPATIBLE": "0", "JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore"}
os.environ |= {"JAX_COMPILATION_CACHE_DIR": str(BUILD / "jax"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3"}
os.environ.pop("D2L_DATA", None)

project = "d2l-jax"
author = "the authors of d2l-jax"
release = version = d2l_jax.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "programs", "stored"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_cache_path = str(BUILD / "executed")
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_execution_excludepatterns = ["notes/*"]
nb_merge_streams = True
myst_nb.core.render.coalesce_streams = streams.joined
nb_output_stderr = "remove"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True

html_theme = "sphinx_book_theme"
html_title = "d2l-jax"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_theme_options = {
    "show_toc_level": 2,
    "use_fullscreen_button": False,
    "use_download_button": False,
    "navbar_persistent": [],
}
html_copy_source = html_show_sourcelink = False


def setup(app):
    """Has docstrings read as this project writes them, and the programs of the study notes made pages."""
    app.connect("autodoc-process-docstring", docstrings.process)
    app.connect("autodoc-process-signature", docstrings.signature)
    app.connect("autodoc-skip-member", docstrings.skip)
    programs_as_pages.write(ROOT / "examples" / "notes", DOCS / "notes")
