"""What programs of ours leave out while they start, and that whoever needs it still gets it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from attn_core.models.startup.unwritten import Unwritten

FRESH = """
import sys
import transformers  # as another thread may have done; it notes then what is installed
from transformers.utils import is_accelerate_available
assert is_accelerate_available()
from attn_core.models.startup import lean_imports
lean_imports.leave_out()
import attn_core as ac
model = ac.load("tiny-decoder")
assert ac.trace(model, "anna gave tom a book").check().ok
unused = ("sympy", "torch._inductor", "torch.distributed.tensor", "accelerate")
assert not [name for name in unused if name in sys.modules]

import torch
torch.compiler.reset()  # who asks for the compiler gets the real one
assert torch.compile(lambda x: 2 * x, backend="eager")(torch.ones(2)).tolist() == [2, 2]
assert "torch._inductor" in sys.modules and torch.distributed.is_available()
assert ac.trace(model, "anna gave tom a book").check().ok
"""


def test_a_model_is_loaded_without_the_compiler_and_who_wants_it_gets_it():
    done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


BESIDE = """
import sys, threading
import attn_core.attention, attn_core.capture.hooks  # all that the page's import needs but the library itself
from attn_core.models.startup import lean_imports
drawn = []

def draw():
    import attn_core.capture.interface
    drawn.append(attn_core.capture.interface.NAME)

class Visit:
    def find_spec(self, name, path=None, target=None):
        if name == "transformers.utils" and not page.ident:
            page.start()
            page.join(1)

page = threading.Thread(target=draw)
sys.meta_path.insert(0, Visit())
lean_imports.leave_out()
page.join()
assert drawn == ["headlight"]
"""


def test_a_page_that_is_opened_while_the_library_is_imported_waits_for_it():
    done = subprocess.run([sys.executable, "-c", BESIDE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def made(inside: bool) -> list[torch.Tensor]:
    """Tensors as the library makes them on the device without values."""

    def make() -> list[torch.Tensor]:
        with torch.device("meta"):
            modules = (nn.Embedding(5, 4, padding_idx=0), nn.Linear(4, 3), nn.LayerNorm(4))
            own = [*(p for module in modules for p in module.parameters()), torch.arange(6).expand((1, -1))]
            own += [torch.arange(0, 6, 2, dtype=torch.float32), nn.init.normal_(tensor=torch.empty(2, 3))]
        return [*own, torch.empty_like(own[0], device="cpu"), torch.empty_like(own[0].T, device="cpu")]

    if not inside:
        return make()
    with Unwritten():
        return make()


def test_what_has_no_values_has_the_same_shape_type_and_order_in_memory():
    def described(tensors: list[torch.Tensor]) -> list[tuple[object, ...]]:
        return [(t.shape, t.stride(), t.dtype, t.device, t.requires_grad) for t in tensors]

    assert described(made(inside=True)) == described(made(inside=False))


def test_tensors_with_values_are_filled_as_ever():
    with Unwritten():
        filled = nn.init.constant_(torch.empty(3), 7.0)
        assert torch.arange(3).tolist() == [0, 1, 2]
    assert filled.tolist() == [7, 7, 7]


@pytest.mark.parametrize("name", ["normal_", "kaiming_uniform_"])
def test_nothing_is_computed_for_a_tensor_without_values(name, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("computed")

    monkeypatch.setattr(torch.Tensor, "normal_", refuse)
    monkeypatch.setattr(torch.Tensor, "uniform_", refuse)
    tensor = torch.empty(2, 3, device="meta")
    with Unwritten():
        assert getattr(nn.init, name)(tensor) is tensor
