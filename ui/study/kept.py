"""The file of a study: what was counted, to be saved, and put in again another day."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from attn_core.errors import HeadlightError
from attn_core.study.result import StudyResult, open_study
from attn_core.study.run import Plan, belongs
from attn_core.study.texts import Sentence
from ui import words

if TYPE_CHECKING:
    from ui.server.handles import ModelHandle

WORDS = words.beside(__file__)


def content(result: StudyResult) -> bytes:
    with TemporaryDirectory() as folder:
        return result.save(Path(folder) / "study.parquet").read_bytes()


def opened(file: bytes, model: ModelHandle, sentences: Sequence[Sentence], plan: Plan) -> StudyResult:
    """What was counted of this study; HeadlightError where the file is none, or one of another study."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "study.parquet"
        path.write_bytes(file)
        try:
            found = open_study(path)
        except HeadlightError:
            raise HeadlightError(WORDS.text("kept.no_study")) from None
    if not belongs(found, model.value(), sentences, plan):
        raise HeadlightError(WORDS.text("kept.another"))
    return found
