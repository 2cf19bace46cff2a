"""Cut the letters that saved pictures carry along out of Streamlit's own faces: assets/fonts/*.woff2.

python .ci/subset_fonts.py    # in an environment with streamlit, fonttools and brotli

Kept are letters of Latin, Greek and Cyrillic, numbers, arrows and signs of mathematics, at weights 400 to 700. What is
cut is no longer "Source", a name that its authors reserve, so it gets another.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont

FONTS = Path(__file__).parents[1] / "assets" / "fonts"
FACES = {  # its file here → how the file begins in Streamlit, what it is called
    "sans": ("SourceSansVF-Upright", "Headlight Sans"),
    "serif": ("SourceSerifVariable-Roman", "Headlight Serif"),
    "code": ("SourceCodeVF-Upright", "Headlight Code"),
}
KEPT = (
    "U+0020-007E,U+00A0-017F,U+0192,U+0218-021B,U+02BB-02DD,U+0300-0304,U+0306-030C,U+0323,U+0327,U+0328,U+0370-03FF,"
    "U+0400-045F,U+0490-0491,U+1EA0-1EF9,U+2010-2027,U+202F-203A,U+2044,U+2070-209C,U+20AC,U+2116,U+2122,U+2190-2199,"
    "U+2200-22FF,U+2400-2426,U+2581,U+25A0-25FF,U+2713,U+2717,U+FB01,U+FB02,U+FFFD"
)
LIMITS = {"wght": (400, 700), "opsz": 14}
NAMED = {1: "{name}", 3: "{name}", 4: "{name}", 6: "{whole}", 16: "{name}", 25: "{whole}"}  # fields of the name table


def cut(file: Path, name: str) -> TTFont:
    """A face with the letters that are kept, under another name."""
    font = TTFont(file)
    options = subset.Options()
    options.hinting = False
    options.name_IDs = ["*"]
    options.layout_features = ["kern", "mark", "mkmk", "ccmp", "locl"]
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=subset.parse_unicodes(KEPT))
    cutter.subset(font)
    axes = {axis.axisTag for axis in font["fvar"].axes}
    instantiateVariableFont(font, {axis: limit for axis, limit in LIMITS.items() if axis in axes}, inplace=True)
    names = font["name"]
    for record in [*names.names]:
        if record.nameID in NAMED:
            said = NAMED[record.nameID].format(name=name, whole=name.replace(" ", ""))
            names.setName(said, record.nameID, record.platformID, record.platEncID, record.langID)
        elif record.nameID not in (0, 2, 7, 13, 14):  # copyright, style, trademark and licence stay
            names.removeNames(nameID=record.nameID)
    font.flavor = "woff2"
    return font


def main() -> None:
    (streamlit,) = find_spec("streamlit").submodule_search_locations
    for file, (begins, name) in FACES.items():
        (found,) = (Path(streamlit) / "static" / "static" / "media").glob(f"{begins}.*.woff2")
        cut(found, name).save(FONTS / f"{file}.woff2")


if __name__ == "__main__":
    main()
