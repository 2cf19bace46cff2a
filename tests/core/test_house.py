"""The architecture, enforced: which package may import which, what is light, what the wheel brings.

`make check` runs them.
"""

import ast
import os
import re
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

import attn_core as ac

pytestmark = pytest.mark.house
ROOT = Path(__file__).parents[2]
PARTS = ("attn_core", "ui", "pages")
FILES = sorted([*(file for part in PARTS for file in (ROOT / part).rglob("*.py")), ROOT / "app.py"])
DISTRIBUTIONS = {
    "httpx2": "httpx2",
    "huggingface_hub": "huggingface-hub",
}  # import → package
MOST_MODULES = 15  # in one package; more of them are a package that is missing

# The architecture, from the ground up. A package imports from the rows above its own, and from its own row where that
# makes no circle; `tiny` is a row of its own, because `models` alone may see it.
LIBRARY = (
    ("adapters", "blocks", "errors", "importing", "options", "places", "settings", "tolerances", "whole_files"),
    ("attention", "masks", "precision", "rotary", "sound", "text"),
    ("traces",),
    ("capture",),
    ("tiny",),
    ("models",),
    ("heads", "residual", "prediction", "circuits", "walkthrough", "parameters", "figures"),
    ("study",),
    ("views",),
    ("__init__", "__main__"),
)
APP = (
    ("glossary", "param", "sentences", "shared_params", "state_lookup", "widget_values", "words", "drawing", "server"),
    ("link", "followed_word", "turns"),
    ("shell",),
    ("page",),
    ("stream",),
    ("stream_links",),
    (
        *("all_heads", "step_by_step", "delta_e", "word_senses", "compare_heads", "find_heads", "cross_attention"),
        *(
            "study",
            "why_there",
            "patching",
            "parameters",
            "lesson",
            "training",
            "predict_first",
            "teachers_kit",
            "about",
        ),
    ),
    ("__init__",),
)
LIBRARY_LEVELS = {name: level for level, row in enumerate(LIBRARY) for name in row}
APP_LEVELS = {name: level for level, row in enumerate(APP) for name in row}
PAGE_FOLDERS = set(APP[-2])


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def nodes(source: str) -> list[ast.AST]:
    """All of a script's syntax, the module first, parsed once for all tests."""
    return list(ast.walk(ast.parse(source)))


@cache
def names_called(source: str) -> list[str]:
    """What a script calls, as it is written there: "load", "models.load"."""
    called = [node.func for node in nodes(source) if isinstance(node, ast.Call)]
    return [ast.unparse(function) for function in called if isinstance(function, ast.Name | ast.Attribute)]


def docstring(file: Path) -> str:
    return ast.get_docstring(nodes(file.read_text())[0]) or ""  # type: ignore[arg-type]


@cache
def imports(file: Path) -> tuple[str, ...]:
    """The modules that a file imports, wherever it does so and for whatever: imports for types count too."""
    found: list[str] = []
    for node in nodes(file.read_text()):
        if isinstance(node, ast.Import):
            found += (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += _from(node)
    return tuple(found)


def _from(node: ast.ImportFrom) -> Iterator[str]:
    assert node.level == 0, "imports are absolute"
    folder = ROOT.joinpath(*str(node.module).split("."))
    for name in node.names:
        inside = folder.is_dir() and ((folder / f"{name.name}.py").is_file() or (folder / name.name).is_dir())
        yield f"{node.module}.{name.name}" if inside else str(node.module)


def begins(name: str, beginnings: Iterable[str]) -> bool:
    return any(name == beginning or name.startswith(f"{beginning}.") for beginning in beginnings)


def offenders(inside: str, forbidden: tuple[str, ...], allowed: tuple[str, ...] = ()) -> list[str]:
    """Lines such as "ui/page.py imports pages.lesson" for files whose path begins with `inside`."""
    return [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in FILES
        if str(file.relative_to(ROOT)).startswith(inside)
        for name in imports(file)
        if begins(name, forbidden) and not begins(name, allowed)
    ]


def package_of(module: str) -> str:
    """The child of `attn_core` or `ui` that a module belongs to: "heads" for attn_core.heads.kinds."""
    return module.split(".")[1] if "." in module else "__init__"


def package_arrows(part: str) -> dict[tuple[str, str], list[str]]:
    """(importing package, imported package) → the lines that say so, within attn_core or within ui."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for file in FILES:
        module = module_of(file)
        for name in imports(file) if module.split(".")[0] == part else ():
            ends = package_of(module), package_of(name)
            if name.split(".")[0] == part and ends[0] != ends[1]:
                arrows.setdefault(ends, []).append(f"{module} imports {name}")
    return arrows


@pytest.mark.parametrize(("part", "levels"), [("attn_core", LIBRARY_LEVELS), ("ui", APP_LEVELS)])
def test_packages_import_downwards(part, levels):
    """A lower row never imports a higher one; `attn_core` itself, which has every public name, is the highest."""
    assert {package_of(module_of(file)) for file in FILES if module_of(file).split(".")[0] == part} <= set(levels)
    upwards = [line for (a, b), lines in package_arrows(part).items() if levels[a] < levels[b] for line in lines]
    assert upwards == []


def test_a_trace_names_one_package_above_it():
    """`trace.score_parts` is computed by `circuits`, which reads traces: imported by name when it is asked for."""
    by_name = {
        str(file.relative_to(ROOT)): re.findall(r'import_module\(f?"([\w.]*)', file.read_text())
        for file in FILES
        if file.is_relative_to(ROOT / "attn_core") and "import_module" in file.read_text()
    }
    assert by_name.pop("attn_core/__init__.py") == ["attn_core.", "attn_core."]
    assert by_name.pop("attn_core/capture/model.py") == ["attn_core.models.loading"]  # a model may be named
    assert by_name == {"attn_core/traces/trace.py": ["attn_core.views.notebook", "attn_core.circuits."]}


def test_tiny_is_seen_by_models_alone():
    seen_by = [
        line for part in ("attn_core/", "ui/", "pages/", "app.py") for line in offenders(part, ("attn_core.tiny",))
    ]
    assert [line for line in seen_by if not line.startswith(("attn_core/tiny/", "attn_core/models/"))] == []


def test_a_page_does_not_borrow_from_another():
    """What two pages need lies in drawing, shell or beside the page frame, not in the folder of one of them."""
    borrowed = [line for (a, b), lines in package_arrows("ui").items() if {a, b} <= PAGE_FOLDERS for line in lines]
    assert borrowed == []


@pytest.mark.parametrize(
    ("inside", "forbidden", "allowed"),
    [
        ("attn_core/", ("streamlit", "ui", "pages", "app", "serve"), ()),
        ("ui/", ("pages", "app", "serve", "transformers", "attn_core.capture"), ("attn_core.capture.run",)),
        ("pages/", ("torch", "transformers", "numpy", "plotly", "attn_core.capture", "attn_core.traces", "app"), ()),
        ("app.py", ("torch", "transformers", "numpy", "plotly", "attn_core"), ()),
        ("attn_core/figures/", ("torch", "transformers"), ()),
        (
            "attn_core/figures/",
            ("attn_core",),  # arrays and labels come in; how a label is made visible and what an angle is are shared
            tuple(
                f"attn_core.{name}"
                for name in ("figures", "text", "residual.geometry", "settings", "errors", "tolerances")
            ),
        ),
        ("attn_core/attention.py", ("attn_core", "transformers", "numpy"), ()),
        ("attn_core/masks.py", ("attn_core", "transformers"), ("attn_core.blocks",)),
        ("attn_core/blocks.py", ("attn_core", "torch", "numpy", "transformers"), ()),
        ("attn_core/heads/measures.py", ("attn_core", "torch"), ("attn_core.heads", "attn_core.text")),
        ("attn_core/heads/compare.py", ("attn_core", "torch"), ("attn_core.heads", "attn_core.tolerances")),
        ("attn_core/residual/geometry.py", ("attn_core", "torch"), ()),
    ],
)
def test_imports_run_one_way(inside, forbidden, allowed):
    assert offenders(inside, forbidden, allowed) == []


def test_what_says_that_it_has_no_streamlit_has_none():
    """Modules that compute and word hold no Streamlit and no cache: their docstring says so, and it is true."""
    scripts = {file: docstring(file) for file in (ROOT / "ui").rglob("*.py")}
    pure = [file for file, said in scripts.items() if "No Streamlit" in said or file.stem.startswith("sentences")]
    assert len(pure) > 15
    assert [str(file) for file in pure if any(name.split(".")[0] == "streamlit" for name in imports(file))] == []


@pytest.mark.parametrize("kind", ["pages", "browser"])
def test_tests_of_pages_lie_as_ui_does(kind):
    """A page's tests are found by the name of its folder, and so is what a test folder is about."""
    folders = {file.parent.name for file in (ROOT / "ui").glob("*/__init__.py")}
    assert {file.parent.name for file in (ROOT / "tests" / kind).glob("*/test_*.py")} == folders


def test_the_librarys_models_are_imported_at_seven_places():
    places = {
        str(file.relative_to(ROOT)) for file in FILES if any(n.split(".")[0] == "transformers" for n in imports(file))
    }
    assert {place for place in places if not place.startswith("attn_core/tiny/")} == {
        "attn_core/capture/interface.py",  # runs a model
        "attn_core/importing.py",  # brings it in, by one thread at a time
        "attn_core/models/checkpoint.py",  # reads one
        "attn_core/models/formats/ctranslate2.py",  # rewrites one that is kept in another format
        "attn_core/models/formats/gguf.py",  # rewrites one that is kept in another format
        "attn_core/models/startup/lean_imports.py",  # brings it in, without what nobody needs
        "attn_core/parameters/meta_model.py",  # asks its classes what they hold
    }


def circle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """The names of one circle in a graph, or nothing."""
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> list[str]:
        if name in above:
            return [*above[above.index(name) :], name]
        if name not in done:
            for following in graph.get(name, ()):
                if found := visit(following, (*above, name)):
                    return found
            done.add(name)
        return []

    return next((found for name in graph if (found := visit(name, ()))), [])


def test_no_module_is_imported_in_a_circle():
    """Not even for a type: whoever reads one module of a circle has to read them all."""
    graph = {module_of(f): {n for n in imports(f) if n.startswith(PARTS)} - {module_of(f)} for f in FILES}
    assert circle(graph) == []


@pytest.mark.parametrize("part", ["attn_core", "ui"])
def test_no_package_is_imported_in_a_circle(part):
    graph: dict[str, set[str]] = {}
    for importing, imported in package_arrows(part):
        graph.setdefault(importing, set()).add(imported)
    assert circle(graph) == []


def test_one_stream_is_a_value():
    """What reads one stream takes a `StreamTrace`; a name that may be missing is known to a trace's readers alone."""
    asked = []
    for file in FILES:
        if not str(file.relative_to(ROOT)).startswith("attn_core/traces/"):
            for node in nodes(file.read_text()):
                if isinstance(node, ast.Compare) and _asks_of_none(node):
                    asked.append(f"{module_of(file)} asks whether there is a stream's name")
                elif isinstance(node, ast.FunctionDef) and _may_lack_a_stream(node):
                    asked.append(f"{module_of(file)}.{node.name}")
    assert asked == [
        "attn_core.circuits.head_card.head_card",  # `ac.head_card`: of a model, which has no trace yet
        "attn_core.circuits.patching.activation.patching",  # `ac.patching`: of a model
        "attn_core.circuits.patching.path.path_patching",  # `ac.path_patching`
        "attn_core.circuits.score_parts.score_parts",  # `trace.score_parts`: a score's writers are of several streams
        "attn_core.circuits.value_parts.value_parts",  # `trace.value_parts`
        *3 * ["attn_core.heads.collection.collect"],  # `ac.collect`, and its two types: of many traces
        "attn_core.heads.kinds.classify_heads",  # of a model, which has no trace yet
        "attn_core.views.notebook.show",  # `ac.show`
    ]


def _asks_of_none(comparison: ast.Compare) -> bool:
    values = [value.value for value in comparison.comparators if isinstance(value, ast.Constant)]
    return None in values and bool(re.search(r"\bstream (is|is not|==|!=) None", ast.unparse(comparison)))


def _may_lack_a_stream(function: ast.FunctionDef) -> bool:
    given = [*function.args.args, *function.args.kwonlyargs]
    return any(a.arg == "stream" and a.annotation and "None" in ast.unparse(a.annotation) for a in given)


def test_tolerances_have_names():
    """A number such as 1e-6 says what it means: most stand in `tolerances` and `traces/parity`, none in a function."""
    inline = [
        f"{module_of(file)}: {constant.value}"
        for file in FILES
        if begins(module_of(file), ("attn_core", "ui"))
        and not begins(module_of(file), ("attn_core.tiny", "ui.step_by_step"))
        for function in nodes(file.read_text())
        if isinstance(function, ast.FunctionDef)
        for constant in ast.walk(function)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, float) and 0 < constant.value < 1e-4
    ]
    assert inline == ["attn_core.text.numbers: 1e-09"]  # what a colour bar writes as "< 0.1 %"


# Words of our own for what the field has a word for; see the records and functions that are called otherwise now.
# fmt: off
RETIRED = {
    "Ear", "heard_by", "Attended", "attended", "Diary", "Setup", "Walk", "Break", "scattered", "Strip", "Tally",
    "habit", "Ledger", "_Book", "Additions", "logit_parts", "Neighbours", "by_luck", "Guess", "written_on",
    "parting", "AtDoor", "Door", "clearness", "sharpest", "told_apart", "striking_row", "Room", "Desk", "NOWHERE",
    "hang", "Stage", "Scene", "Sides", "Shown", "House", "Shelf", "Lent", "_hands", "lend", "Album", "front_room",
    "sink_share", "mixed", "mixes",
}
# fmt: on


def names_in(source: str) -> set[str]:
    """What a script calls its classes, functions, parameters and variables."""
    found: set[str] = set()
    for node in nodes(source):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def test_names_are_the_fields():
    assert names_in("class Ear:\n    def hang(self, habit):\n        lend = 1\n") & RETIRED == {
        *("Ear", "hang", "habit", "lend")
    }
    mixing = {"attn_core/figures/colours.py"}  # of colours, as CSS calls it
    wrong = {str(f.relative_to(ROOT)): sorted(names_in(f.read_text()) & RETIRED) for f in FILES}
    assert {file: names for file, names in wrong.items() if names and file not in mixing} == {}


def said_by_hand(source: str) -> list[str]:
    """Where a script writes a percent sign behind a formatted number, or a minus in the place of a hyphen."""
    found = []
    for node in nodes(source):
        if isinstance(node, ast.JoinedStr):
            for value, after in zip(node.values, node.values[1:], strict=False):
                sign = isinstance(after, ast.Constant) and re.match(r"[ \xa0]%", str(after.value))
                if isinstance(value, ast.FormattedValue) and value.format_spec and sign:
                    found.append(ast.unparse(node))
        elif _replaces(node) and re.search(r"\.replace\('-', (MINUS|'−')\)$", ast.unparse(node)):
            found.append(ast.unparse(node))
    return found


def _replaces(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "replace"


def test_percent_and_sign_are_said_in_one_place():
    """In Python that is `text/numbers.py`, in JavaScript `numbers.js`; another test compares the two."""
    assert len(said_by_hand("""f"{100 * x:.0f} %"; f"{x:.1f}\xa0%"; s.replace("-", "−"); f"width:{x:.1f}%" """)) == 3
    places = [file for file in FILES if begins(module_of(file), ("attn_core", "ui"))]
    assert {module_of(f) for f in places if said_by_hand(f.read_text())} == {"attn_core.text.numbers"}
    scripts = [
        file for file in (ROOT / "assets").rglob("*.js") if re.search(r"to(Fixed|Precision)\(.*%", file.read_text())
    ]
    assert [file.name for file in scripts] == []
    words = [file for file in (ROOT / "ui").rglob("*.toml") if re.search(r"\{\w+:[^}]*\} ?%", file.read_text())]
    assert words == []


def own_patience(code: str) -> list[str]:
    """Waits of a browser test that end at a number of their own; one that is tried again may."""
    tree, found = ast.parse(code), []
    again = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.With) and "suppress(" in ast.unparse(node.items[0])
        for inner in ast.walk(node)
    }
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and id(call) not in again:
            limits = [word.value for word in call.keywords if word.arg == "timeout"]
            limits += call.args if ast.unparse(call.func).endswith("timeout") else []
            if any(isinstance(limit, ast.Constant) for limit in limits):
                found.append(ast.unparse(call))
    return found


def test_browser_tests_have_one_patience_and_axe_reads_colours_that_stand():
    """A slow machine is slow for all of them. What is no wait for a page: a fixed pause, and asking a server again."""
    assert own_patience("page.goto(x, timeout=5); p.set_default_timeout(9); e.wait_for(timeout=PATIENCE)") == [
        "page.goto(x, timeout=5)",
        "p.set_default_timeout(9)",
    ]
    places = [file for file in (ROOT / "tests" / "browser").rglob("*.py") if file.name != "server.py"]
    waits = [wait for file in places for wait in own_patience(file.read_text()) if "wait_for_timeout" not in wait]
    assert [wait for wait in waits if "HTTPConnection" not in wait] == []
    assert [file.name for file in places if "axe.run(" in file.read_text()] == ["axe.py"]
    reads = (ROOT / "tests" / "browser" / "axe.py").read_text()
    assert reads.index("page.wait_for_function(SETTLED, timeout=PATIENCE)") < reads.index("axe.run(")


def test_settings_are_read_when_they_are_needed():
    """No module keeps one of its own: it would be read at some import, before or after a start has said them."""
    kept = []
    for file in FILES:
        for node in ast.parse(file.read_text()).body if "settings()" in file.read_text() else ():
            if isinstance(node, ast.Assign | ast.AnnAssign) and re.search(r"\bsettings\(\)", ast.unparse(node)):
                kept.append(f"{module_of(file)}: {ast.unparse(node)}")
    assert kept == []


def test_a_model_is_located_verified_and_read_at_one_place_each():
    """On the way from a name to a model each step is one call, so nothing is read that was not verified."""
    steps = ("locate", "hub.snapshot", "verify", "read_checkpoint", "find_wiring")
    calls = {
        step: [module_of(file) for file in FILES for name in names_called(file.read_text()) if name == step]
        for step in steps
    }
    assert calls == {
        "locate": ["attn_core.models.loading"],
        "hub.snapshot": ["attn_core.models.sources"],
        "verify": ["attn_core.models.history", "attn_core.models.loading"],  # steps of a training, and a model
        "read_checkpoint": ["attn_core.models.history", "attn_core.models.loading"],
        "find_wiring": ["attn_core.capture.wrapping"],
    }


def test_no_package_grows_past_fifteen_modules():
    folders = {file.parent for file in FILES if file.parent != ROOT}
    sizes = {str(f.relative_to(ROOT)): len([m for m in f.glob("*.py") if m.stem != "__init__"]) for f in folders}
    assert {folder: size for folder, size in sizes.items() if size > MOST_MODULES} == {}


def test_every_package_says_what_lives_there():
    """In three to six lines: what lives here, what it may import, where to start reading."""
    short = []
    for file in FILES:
        if file.name == "__init__.py":
            said = docstring(file)
            if not 3 <= len([line for line in said.splitlines() if line.strip()]) <= 6:
                short.append(str(file.relative_to(ROOT)))
    assert short == []


@pytest.mark.parametrize("folder", ["pages", "browser"])
def test_the_tests_of_the_app_stand_as_the_app_does(folder):
    own = {path.name for path in (ROOT / "tests" / folder).iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert own <= {path.name for path in (ROOT / "ui").iterdir() if path.is_dir()}
    assert own >= PAGE_FOLDERS


def test_no_module_is_a_cupboard():
    names = {part.removesuffix(".py") for file in FILES for part in file.relative_to(ROOT).parts}
    assert not names & {"utils", "util", "helpers", "misc", "common"}


def test_no_module_has_the_name_of_a_public_function():
    modules = {file.stem for file in (ROOT / "attn_core").iterdir()}
    assert not modules & {name for name in ac.__all__ if name[0].islower()}


def test_what_the_library_imports_is_declared():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]  # asked for where they are missing
    declared = sum((extras[name] for name in ("adapters", "datasets", "pictures", "tables")), project["dependencies"])
    names = {line.split(">")[0].split("=")[0].strip() for line in declared}
    found = {name.split(".")[0] for file in FILES if file.is_relative_to(ROOT / "attn_core") for name in imports(file)}
    found -= {*sys.stdlib_module_names, "attn_core"}
    assert {DISTRIBUTIONS.get(name, name) for name in found} <= names


def test_every_package_of_the_library_is_named_for_the_wheel():
    """A new folder of modules that the list lacks would be missing where the library is installed."""
    import tomllib

    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {module_of(f) for f in FILES if f.name == "__init__.py" and f.is_relative_to(ROOT / "attn_core")}
    assert folders <= set(named)


def test_every_requirement_is_pinned_and_none_names_another_index():
    for file in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / file).read_text().splitlines():
            assert line == "-r requirements.txt" or line.count("==") == 1, line


def run(code: str, python: str = sys.executable, **options) -> str:
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_library_is_light():
    heavy = "{'torch', 'transformers', 'streamlit', 'pandas', 'plotly', 'sklearn', 'numpy'}"
    run(f"import sys, attn_core; dir(attn_core); assert not {heavy} & set(sys.modules), sys.modules.keys()", cwd=ROOT)


def test_figures_do_not_need_torch():
    run(
        "import importlib, pkgutil, sys, attn_core.figures\n"
        "for module in pkgutil.iter_modules(attn_core.figures.__path__, 'attn_core.figures.'):\n"
        "    importlib.import_module(module.name)\n"
        "assert not {'torch', 'transformers', 'streamlit'} & set(sys.modules)",
        cwd=ROOT,
    )


def test_what_pages_compute_and_say_needs_no_streamlit():
    """Pairs of words, the lead of a step, and every stop of the lesson, in a process that never sees it."""
    run(
        "import sys, ui.word_senses.comparison, ui.delta_e.token, ui.delta_e.sentences, ui.step_by_step.subject\n"
        "import ui.step_by_step.sentences_scores, ui.step_by_step.sentences_values, ui.lesson.stops\n"
        "assert 'streamlit' not in sys.modules",
        cwd=ROOT,
    )


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        ac.nonsense  # noqa: B018


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy of what git would publish, so that the checkout stays clean."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", str(out), "."], cwd=copy, check=True)
    return next(out.glob("*.whl"))


def test_the_wheel_brings_the_library_and_its_weights_and_not_the_app(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    modules = {
        str(f.relative_to(ROOT)) for f in (ROOT / "attn_core").rglob("*") if f.suffix in (".py", ".toml", ".typed")
    }
    assert modules <= set(names) and "attn_core/py.typed" in modules
    assert wheel.name.startswith(f"headlight_attention-{ac.__version__}-")
    weights = {name.split("/")[3] for name in names if name.endswith("model.safetensors")}
    assert weights == {folder.name for folder in (ROOT / "assets" / "models").glob("tiny-*")}
    letters = {f"attn_core/assets/fonts/{file.name}" for file in (ROOT / "assets" / "fonts").iterdir()}
    assert len(letters) == 4 and letters <= set(names)  # and their licence
    assert not [n for n in names if n.startswith(("ui/", "pages/", "tests/", "app", "benchmarks/", "assets/"))]


def test_the_wheel_works_outside_the_checkout(wheel, tmp_path):
    """In an empty environment; what it depends on is found through a path file, so that nothing is downloaded."""
    import numpy

    home = tmp_path / "empty"
    venv.create(home)
    python = str(home / "bin" / "python")
    assert "attn_core" not in run("import sys; print(sys.path)", python, cwd=tmp_path)
    pip = [sys.executable, "-m", "pip", "--python", python]  # ours, for that environment: it need not have its own
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    site = Path(run("import sysconfig; print(sysconfig.get_path('purelib'))", python, cwd=tmp_path).strip())
    (site / "dependencies.pth").write_text(str(Path(numpy.__file__).parents[1]) + "\n")
    code = (
        "import attn_core as ac\n"
        "from attn_core import figures\n"
        "from attn_core.models import catalogue, loading\n"
        f"assert ac.__file__.startswith({str(site)!r}), ac.__file__\n"
        "for name, entry in catalogue.CATALOGUE.items():\n"
        "    if entry.kind == 'hub' or not catalogue.availability(name)[0]: continue\n"
        "    target = {'target': 'la créature'} if entry.architecture == 'encoder-decoder' else {}\n"
        "    trace = ac.trace(ac.load(name), 'the creature', **target)\n"
        "    assert max(trace.check()) < 1e-4\n"
        "    print(name)\n"
        "assert ac.count_parameters('gpt-3').lesson_total == 175_181_291_520\n"
    )
    loaded = run(code, python, cwd=tmp_path, env={**os.environ, "PYTHONPATH": ""}).split()
    assert loaded == ["minilm", "tiny-decoder", "tiny-translator"]


LABELS = ["[CLS]", "a", "fluffy", "blue", "creature", "roam", "##ed"]


def read_me() -> str:
    return (ROOT / "README.md").read_text()


def documentation(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text()


def test_the_examples_run_as_they_are_printed_and_public_names_stay_what_they_are():
    """In one process, where nothing was imported before: `ac.trace` is a function after a load, and every name is what
    it was after whatever was imported."""
    code = ""
    for page in (documentation("notebook"), read_me()):
        code += page.split("```python\n")[1].split("```")[0]
        code += f"\nassert max(trace.check()) < 1e-5 and trace.tokens.labels[:7] == {LABELS}\n"
    code += (
        "import importlib, pkgutil\n"
        "for module in pkgutil.walk_packages(ac.__path__, 'attn_core.'):\n"
        "    if not module.name.endswith('__main__'): importlib.import_module(module.name)\n"
        "for name in ac.__all__: assert callable(getattr(ac, name)) != (name == '__version__'), name"
    )
    run(code, cwd=ROOT)


def test_the_documentation_has_every_model_as_the_catalogue_has_it():
    from attn_core.models.catalogue import CATALOGUE

    rows = {line.split("|")[1].strip(): line for line in documentation("models").splitlines() if line.startswith("| `")}
    for name, entry in CATALOGUE.items():
        layers = f"{entry.n_layers} + {entry.n_decoder_layers}" if entry.n_decoder_layers else entry.n_layers
        facts = (entry.title, f"{layers} × {entry.n_heads}", f"{entry.parameters:,}", entry.licence)
        assert all(f" {fact} " in rows[f"`{name}`"] for fact in facts), name


def test_the_documentation_has_every_setting():
    used = {name for file in FILES for name in re.findall(r'"(HEADLIGHT_\w+)"', file.read_text())}
    assert "HEADLIGHT_MODE" in used
    assert [name for name in sorted(used) if f"`{name}`" not in documentation("settings")] == []


def test_the_read_me_points_to_files_that_exist():
    pages = read_me() + (ROOT / "CONTRIBUTING.md").read_text()
    targets = re.findall(r"\]\((?!https?:|#)([^)]+)\)", pages) + re.findall(r'(?:src|href)="([^"]+)"', pages)
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_table_of_pages_has_every_page_of_the_menu():
    """From a page's title to its script, its folder and its sentences, in CONTRIBUTING.md."""
    menu = ast.parse((ROOT / "ui" / "shell" / "menu.py").read_text())
    (said,) = (
        node.value for node in menu.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "GROUPS"
    )
    pages = {page: label for group in ast.literal_eval(said).values() for page, label in group.items()}
    rows = dict(re.findall(r"^\| ([^|]+) \|.* `ui/(\w+)/` \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))
    assert {folder: label for label, folder in rows.items()} == pages


def any_in_annotations(text: str) -> int:
    """How often annotations of a file say Any."""
    notes: list[ast.expr | None] = []
    for node in nodes(text):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            notes.append(node.returns)
        elif isinstance(node, ast.AnnAssign | ast.arg):
            notes.append(node.annotation)
    return sum(isinstance(part, ast.Name) and part.id == "Any" for note in notes if note for part in ast.walk(note))


def test_any_is_rare_in_the_app() -> None:
    assert any_in_annotations("def f(a: Any, *b: list[Any]) -> Any: ...\nc: dict[str, Any] = {}\n") == 4
    counts = {path.name: any_in_annotations(path.read_text()) for path in (ROOT / "ui").rglob("*.py")}
    assert sum(counts.values()) < 40, {name: n for name, n in counts.items() if n}


def test_no_file_speaks_of_a_path_that_is_not_there():
    """A comment, a docstring or a document that names a file of ours names one that exists."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    folders, endings = "attn_core|ui|assets|pages|deploy|hosting", "py|js|css|toml|md|npz|yaml"
    path = re.compile(rf"(?<![\w/])((?:{folders})/[\w/.-]+\.(?:{endings}))\b")
    wrong = []
    for name in listed:
        if (ROOT / name).is_file() and name.endswith((".py", ".js", ".css", ".toml", ".md")):
            wrong += [
                f"{name}: {said}" for said in path.findall((ROOT / name).read_text()) if not (ROOT / said).exists()
            ]
    assert wrong == []
