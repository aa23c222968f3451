"""Changes of expressions: which there are, what is left alone, and that a draw can be repeated."""

import ast
from pathlib import Path

import pytest

from d2l_jax.errors import InputError
from parity.mutants.loading import package_root
from parity.mutants.mutant import draw, files_of, survey
from parity.mutants.places import changed, sites

CHANGES = {
    "x = a + b": ["+ -> -"],
    "x = a @ b": ["@ -> *"],
    "x -= y": ["- -> +"],
    "x = a and b": ["and -> or"],
    "x = -a": ["-x -> x"],
    "x = not a": ["not x -> x"],
    "x = a < b": ["< -> <=", "< -> >="],
    "x = a is None": ["is -> is not"],
    "x = 3": ["3 -> 4", "3 -> 2"],
    "x = 0": ["0 -> 1"],
    "x = 0.5": ["0.5 -> 1.0", "0.5 -> 0.25"],
    "x = f(bias=True)": ["True -> False"],
    "x = jnp.maximum(a, b)": ["maximum -> minimum"],
    "x = a.mean()": ["mean -> sum"],
    "x = a.at[i].set(b)": ["set -> add"],
    "x = jnp.concatenate([a, b])": ["concatenate in reverse order"],
    "x = f(nnx.tanh)": ["tanh -> relu", "tanh -> sigmoid", "tanh -> gelu", "tanh -> silu", "tanh -> softplus"],
    "def f(rate=0.0): pass": ["0.0 -> 1.0"],
}
LEFT_ALONE = [
    '"""A file of 3 lines."""',
    "x: Float[Array, 3 + 4]",
    "def f(x: Literal[3]) -> Literal[4]: pass",
    "@dataclass(frozen=True)\nclass A: pass",
    "def __repr__(self): return 1 + 2",
    "def _check_size(n): return n < 3",
    "def f(n):\n    if n < 3:\n        raise ValueError(1)",
    "def f(n):\n    if n < 3:\n        more = 4\n        raise ValueError(more)",
    "x = f'{1 + 2}'",
    "x = InputError(1)",
    "assert a < b",
    "Size = int | None",
    "x = isinstance(a, int | float)",
    "if TYPE_CHECKING:\n    x = 3",
    "x = self.mean[...]",
    "match a:\n    case 3: pass",
]


def labels(source: str) -> list[str]:
    return [label for site in sites(ast.parse(source), source, "f.py") for label in site.place.labels]


@pytest.mark.parametrize("source", CHANGES)
def test_an_expression_allows_these_changes(source):
    assert labels(source) == CHANGES[source]
    (site,) = sites(ast.parse(source), source, "f.py")
    tree = changed(source, "f.py", 0, CHANGES[source][0])
    assert ast.dump(tree) != ast.dump(ast.parse(source)) and site.new(CHANGES[source][0]) in ast.unparse(tree)
    compile(tree, "f.py", "exec")


@pytest.mark.parametrize("source", LEFT_ALONE)
def test_what_computes_nothing_is_left_alone(source):
    assert labels(source) == []


def test_a_place_knows_where_it_stands():
    source = "class A:\n    def f(self):\n        y = x * (\n            2 +  é)\n"
    listed = sites(ast.parse(source), source, "f.py")
    product, two_and, two = (site.place for site in listed)
    assert (product.within, product.line, product.column, product.code) == ("A.f", 3, 13, "y = x * (")
    assert (two_and.line, two_and.old, two.old) == (4, "2 + é", "2")
    assert listed[1].new("+ -> -") == "2 - é"
    assert ast.unparse(changed(source, "f.py", two_and.number, "+ -> -")).count("-") == 1


def test_every_change_of_every_file_differs():
    for site in survey(package_root(), files_of(package_root())):
        for label in site.place.labels:
            assert site.new(label) != ast.unparse(site.node), site.place


@pytest.fixture
def small_root(tmp_path: Path) -> Path:
    folder = tmp_path / "d2l_jax" / "nn"
    folder.mkdir(parents=True)
    (folder / "a.py").write_text("def f(x):\n    return 2 * x + 3 * x - 4 * x\n\n\ndef g(x):\n    return x / 5 - 1\n")
    return tmp_path


def drawn(root: Path, seed: int, number: int = 4) -> list[tuple[str, str, str]]:
    return [(m.place.within, m.place.old, m.label) for m in draw(survey(root, files_of(root)), seed, number)]


def test_a_draw_is_repeated_by_its_seed(small_root):
    assert drawn(small_root, 0) == drawn(small_root, 0)
    assert any(drawn(small_root, 0) != drawn(small_root, seed) for seed in (1, 2, 3))
    assert drawn(small_root, 0, 2) == drawn(small_root, 0)[:2]
    assert len(drawn(small_root, 0, 1000)) == len(survey(small_root, files_of(small_root)))


def test_an_edit_elsewhere_does_not_change_the_draw(small_root):
    before = drawn(small_root, 0)
    file = small_root / "d2l_jax" / "nn" / "a.py"
    file.write_text("# a comment\nimport math\n\n\ndef h(x):\n    return x\n\n\n" + file.read_text())
    assert drawn(small_root, 0) == before


def test_the_draw_of_the_catalogue_stays():
    root = package_root()
    draws = [draw(survey(root, files_of(root)), 0, 300) for _ in range(2)]
    assert draws[0] == draws[1] and len({mutant.place.key for mutant in draws[0]}) == 300
    rooms = {mutant.place.file.split("/")[1] for mutant in draws[0]}
    assert rooms == {"models", "nn", "losses", "optim", "algorithms", "generate"}


def test_paths_that_are_never_changed_are_refused():
    root = package_root()
    assert files_of(root, [Path("d2l_jax/nn/pool.py")]) == ["d2l_jax/nn/pool.py"]
    assert set(files_of(root, [Path("d2l_jax/cpu")])).isdisjoint(files_of(root))
    for wrong in ("d2l_jax/case.py", "parity", "nothing.py"):
        with pytest.raises(InputError, match=f"{wrong} has no file that is changed"):
            files_of(root, [Path(wrong)])
