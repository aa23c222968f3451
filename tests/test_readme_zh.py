"""The Chinese README: the same commands and programs as README.md, comments aside, and a link to each other."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
LONGEST = 149


def readme(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(page: str) -> list[tuple[str, str]]:
    """Returns language and code of each block, without comments; a Python block as its syntax tree."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    return [
        (language, ast.dump(ast.parse(code)) if language == "python" else commands(code)) for language, code in fenced
    ]


def commands(code: str) -> str:
    return "\n".join(re.sub(r"\s+#.*", "", line) for line in code.splitlines())


def printed(page: str) -> list[str]:
    """Returns the verdicts shown as comments: what a program prints is not translated."""
    return [line for line in page.splitlines() if line.startswith("# fail")]


def test_both_readmes_have_the_same_code():
    english = blocks(readme("README.md"))
    assert len(english) > 4
    assert blocks(readme("README.zh.md")) == english
    assert printed(readme("README.zh.md")) == printed(readme("README.md")) != []


def test_another_command_or_program_is_noticed():
    page = readme("README.zh.md")
    for here, there in [("lenet mlp --picture", "lenet vgg --picture"), ("optim.SGD(lr=0.5)", "optim.SGD(lr=0.1)")]:
        assert here in page
        assert blocks(page.replace(here, there)) != blocks(page)


def test_a_translated_comment_is_no_difference():
    assert blocks("```\nmake run     # sets up\n```\n") == blocks("```\nmake run  # 创建\n```\n") != []


def test_each_links_to_the_other_at_its_head_and_stays_short():
    for name, other in [("README.md", "README.zh.md"), ("README.zh.md", "README.md")]:
        lines = readme(name).splitlines()
        assert any(f"]({other})" in line for line in lines[:3])
        assert len(lines) <= LONGEST
