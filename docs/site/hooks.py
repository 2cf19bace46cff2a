"""What `mkdocs build` does here besides: examples run and draw, formulas become MathML, and nothing is fetched.

MkDocs calls these functions by their names, in this order: files, a page's Markdown, its HTML, and the finished site.
"""

from __future__ import annotations

import html
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT)]  # MkDocs loads this file by its path

import fetched  # noqa: E402
import figures  # noqa: E402

import examples  # noqa: E402

HELP = "<!-- headlight --help -->"
OF_THE_REPOSITORY = re.compile(r"\[([^\]]*)\]\(\.\./[^)]*\)")  # what a page of the first level says of other files
RESULTS = ROOT / "benchmarks" / "results"
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
DISPLAY = {"div": "block", "span": "inline"}
ALT = re.compile(r"^Figure: (.*)$", re.MULTILINE)
FONTS = {  # the app's own letters, out of Streamlit: the name here → how its file begins there
    "sans": "SourceSansVF-Upright",
    "sans-italic": "SourceSansVF-Italic",
    "serif": "SourceSerifVariable-Roman",
    "code": "SourceCodeVF-Upright",
}


def on_files(files: Any, config: Any) -> Any:
    """Add what was measured, the tables that benchmarks wrote, and the letters."""
    for table in sorted(RESULTS.glob("*.md")):
        files.append(File.generated(config, f"measured/{table.name}", content=table.read_text(encoding="utf-8")))
    (streamlit,) = find_spec("streamlit").submodule_search_locations
    for name, begins in FONTS.items():
        (font,) = (Path(streamlit) / "static" / "static" / "media").glob(f"{begins}.*.woff2")
        files.append(File.generated(config, f"site/fonts/{name}.woff2", abs_src_path=str(font)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Run a guide's examples, and put what they draw where its line "Figure: …" stands."""
    page.meta["hide"] = [*(["navigation"] if page.parent is None else []), *(["toc"] if "## " not in markdown else [])]
    if "/" not in page.file.src_uri:
        markdown = OF_THE_REPOSITORY.sub(r"\1", markdown.replace("](../benchmarks/results/", "](measured/"))
    if HELP in markdown:
        command = [sys.executable, "-m", "attn_core", "--help"]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return markdown.replace(HELP, f"```text\n{said}```")
    if not page.file.src_uri.startswith("guides/") or not examples.BLOCK.search(markdown):
        return markdown
    name = Path(page.file.src_uri).stem
    drawn = [each for each in examples.run(markdown, page.file.src_uri, ("light", "dark")) if each]
    said = ALT.findall(markdown)
    if len(drawn) != len(said):
        raise PluginError(f"{page.file.src_uri}: {len(drawn)} figures and {len(said)} lines that begin with Figure:")
    for i, (each, alt) in enumerate(zip(drawn, said, strict=True)):
        shown, content = figures.written(each, f"{name}-{i}" if i else name, alt)
        for file, data in content.items():
            files.append(File.generated(config, f"guides/{file}", content=data))
        markdown = markdown.replace(f"Figure: {alt}", str(shown), 1)
    return markdown


def on_page_content(content: str, page: Any, config: Any, files: Any) -> str:
    """Formulas as MathML, which browsers draw by themselves."""
    return FORMULA.sub(lambda found: convert(html.unescape(found[2]), DISPLAY[found[1]]), content)


def on_post_build(config: Any) -> None:
    """Fail where the site would ask another host for anything but a link that somebody follows."""
    site = Path(config.site_dir)
    asking = [
        f"{file.relative_to(site)}: {found[0]}"
        for file in sorted(site.rglob("*"))
        if file.suffix in (".html", ".css", ".svg")
        for found in fetched.FETCHED.finditer(file.read_text(encoding="utf-8"))
    ]
    if asking:
        raise PluginError("the site would fetch from elsewhere: " + "; ".join(asking[:5]))
