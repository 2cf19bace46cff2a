"""The examples of the documentation, run as they are printed: for a test, and for the figures of the guides.

A line that ends with `  # → text` says what its expression gives; running it compares the two. A block that sets
`figure` makes a picture, which the build draws below it in both themes.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SAID = re.compile(r"  # → (.*)$")


def pages() -> list[Path]:
    """Every page with examples."""
    return [page for page in sorted(DOCS.rglob("*.md")) if BLOCK.search(page.read_text(encoding="utf-8"))]


def run(markdown: str, name: str, themes: tuple[str, ...] = ("light",)) -> Iterator[dict[str, Any]]:
    """Run a page's blocks in turn, and give after each what it drew: theme → figure, or nothing.

    Raises AssertionError, which names the line, where an expression does not give what the page says.
    """
    names: dict[str, Any] = {"__name__": "example"}
    for block in BLOCK.findall(markdown):
        lines, drawn = block.splitlines(), {}
        for node in ast.parse(block).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "figure":
                drawn = {theme: eval(_code(_themed(node.value, theme), name), names) for theme in themes}
                names["figure"] = drawn[themes[0]]
            elif isinstance(node, ast.Expr):
                given = eval(_code(node.value, name), names)
                said = SAID.search(lines[(node.end_lineno or 1) - 1])
                if said and str(given) != said[1]:
                    raise AssertionError(f"{name}: {ast.unparse(node)} gives {given}, and the page says {said[1]}")
            else:
                exec(compile(ast.Module([node], []), name, "exec"), names)
        yield drawn


def _code(expression: ast.expr, name: str) -> Any:
    return compile(ast.Expression(expression), name, "eval")


def _themed(call: ast.expr, theme: str) -> ast.expr:
    """The same call in another theme, where it says one."""
    if not isinstance(call, ast.Call):
        return call
    given = [k for k in call.keywords if k.arg != "theme"]
    if len(given) == len(call.keywords):
        return call
    themed = ast.Call(call.func, call.args, [*given, ast.keyword("theme", ast.Constant(theme))])
    return ast.fix_missing_locations(ast.copy_location(themed, call))
