"""A model on a GPU is traced there, in float32, bfloat16 and float16, and reads as its weights do on the CPU.

Needs an NVIDIA GPU, no network and no download: `make test-gpu`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import number_types
import numpy as np
import pytest
import torch
import transformers as tf
from families import TEXT, whisper, word_tokenizer
from number_types import HALF, Pair

import attn_core as ac

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU and PyTorch's CUDA build"),
]
KINDS = [torch.float32, *HALF]
READ = [
    "albert",
    "bert",
    "gemma2",
    "gpt2",
    "gpt_neox",
    "llama",
    "marian",
    "mixtral",
    "modernbert",
    "olmo2",
    "opt",
    "qwen3",
    "t5",
]
CHANGED = ["bert", "gemma2", "gpt2", "llama", "marian", "t5"]


def pairs(names: list[str]) -> Any:
    every = [(name, kind) for name in names for kind in KINDS]
    return pytest.mark.parametrize(
        "pair", [Pair(*one, "cuda") for one in every], ids=lambda own: f"{own.name} {own.kind}"
    )


@pairs(READ)
def test_a_trace_is_near_float32_on_the_cpu(pair: Pair) -> None:
    number_types.check_a_trace(pair)


@pairs(CHANGED)
def test_patches(pair: Pair) -> None:
    number_types.check_patches(pair)


@pairs(CHANGED)
def test_gradients(pair: Pair) -> None:
    number_types.check_gradients(pair)


@pairs(CHANGED)
def test_batches_and_files(pair: Pair, tmp_path: Path) -> None:
    if pair.exact.kind != "encoder-decoder":
        number_types.check_many(pair)
    number_types.check_files(pair, tmp_path)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_autocast_does_not_reach_readers(kind: torch.dtype) -> None:
    pair = Pair("llama", kind, "cuda")
    plain = ac.trace(pair.model, TEXT)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        around, check = dict(number_types.readings(plain)), plain.check()
        inside = ac.trace(pair.model, TEXT)
        assert inside.check().ok, inside.check()
    for name, array in number_types.readings(plain):
        np.testing.assert_array_equal(around[name], array, err_msg=name)
    assert check.ok and check == plain.check()


@pytest.mark.parametrize("name", ["minilm", "tiny-decoder", "tiny-translator"])
def test_models_that_come_with_the_install(name: str) -> None:
    pytest.importorskip("httpx2")  # with which models are fetched
    from attn_core.models.catalogue import CATALOGUE
    from attn_core.models.sources import installed_folder

    if installed_folder(CATALOGUE[name]) is None:
        pytest.skip(f"{name} is not installed")
    texts = {"minilm": ("a fluffy blue creature roamed the verdant forest",), "tiny-decoder": ("the small dog ran",)}
    read = texts.get(name, ("the cat sleeps",))
    target = {"target": "le chat dort"} if name == "tiny-translator" else {}
    on_cpu = ac.load(name)
    exact = ac.trace(on_cpu, *read, **target)
    for kind in KINDS:
        model = ac.load(name, device="cuda", dtype=kind)
        ours = ac.trace(model, *read, **target)
        assert ours.stream(ours.streams[0])._layers[0].call.query.is_cuda
        assert ours.check().ok, ours.check()
        number_types.assert_near(ours, exact, 2 * number_types.PASS[kind])


def frame(table: Any) -> np.ndarray:
    return table.select_dtypes("number").to_numpy(float)


MORE: dict[str, Callable[[ac.Model, ac.Trace], Any]] = {
    "score parts": lambda model, trace: trace.score_parts(1, 2, 5, 3).matrix,
    "score parts above the mean": lambda model, trace: trace.score_parts(0, 1, 5, 3, "mean").matrix,
    "value parts": lambda model, trace: trace.value_parts(1, 2, 5, 3).vectors,
    "frame": lambda model, trace: frame(trace.frame()),
    "collect": lambda model, trace: frame(ac.collect([trace], ["entropy", "sink", "delta_size", "previous"])),
    "classify": lambda model, trace: frame(ac.classify_heads(model, texts=[TEXT])),
    "study": lambda model, trace: frame(ac.run_study(model, [TEXT, TEXT[:20], TEXT[10:]]).frame()),
    "patching": lambda model, trace: frame(
        ac.patching(model, TEXT, TEXT.replace("fox", "sun"), answer=(5, 6), at="head")
    ),
    "paths": lambda model, trace: frame(
        ac.path_patching(
            model, TEXT, TEXT.replace("fox", "sun"), sender=(0, 1), receiver=(1, 2), through="q", answer=(5, 6)
        )
    ),
    "head card": lambda model, trace: [ac.head_card(model, 1, 2).copying, ac.head_card(model, 1, 2).prefix_matching],
    "w_o": lambda model, trace: trace.w_o(1, 2),
    "w_v": lambda model, trace: trace.w_v(1, 2),
    "norms": lambda model, trace: trace.stream().final_norm(trace.embedding(2)),
    "changed again": lambda model, trace: _again(model, trace).embedding(2),
}  # fmt: skip


def _again(model: ac.Model, trace: ac.Trace) -> ac.Trace:
    from attn_core.capture.again import trace_again

    return trace_again(model, trace, without=[(1, 1)])


@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.parametrize("what", MORE)
def test_the_rest_of_the_library(name: str, what: str) -> None:
    pair = Pair(name, torch.float32, "cuda")
    ours, exact = pair.traces()
    got, wanted = (
        np.asarray(MORE[what](model, trace), float) for model, trace in ((pair.model, ours), (pair.exact, exact))
    )
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-3 * float(np.nanmax(np.abs(wanted))))


def test_sound() -> None:
    sound = np.random.default_rng(0).normal(size=(8, 40))
    for kind in KINDS:
        trace = ac.trace(ac.wrap(whisper(20).to("cuda", kind), word_tokenizer()), audio=sound, target="one fox")
        assert trace.check().ok, trace.check()


def _large(kind: torch.dtype) -> tf.PreTrainedModel:
    torch.manual_seed(0)
    config = tf.LlamaConfig(
        vocab_size=1000, hidden_size=1024, intermediate_size=2816, num_hidden_layers=12, num_attention_heads=16,
        num_key_value_heads=4, max_position_embeddings=8192, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return tf.AutoModelForCausalLM.from_config(config).eval().to("cuda", kind)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("n_tokens", [16, 128, 1024, 4096])
def test_what_a_pass_costs(kind: torch.dtype, n_tokens: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Traced ÷ bare, medians of interleaved rounds; every pass ends when the GPU has done it."""
    hf_model = _large(kind)
    model = ac.wrap(hf_model, word_tokenizer(), limit=8192)
    object.__setattr__(model, "limit", 8192)  # the little tokenizer says that it reads 64
    ids = [7 + i % 50 for i in range(n_tokens)]
    given = torch.tensor([ids], device="cuda")

    def bare() -> None:
        with torch.inference_mode():
            hf_model.model(input_ids=given, attention_mask=torch.ones_like(given), use_cache=False)

    def traced() -> ac.Trace:
        return ac.trace(model, ids)

    def seconds(run: Callable[[], Any]) -> float:
        torch.cuda.synchronize()
        start = time.perf_counter()
        kept = run()
        torch.cuda.synchronize()
        del kept
        return time.perf_counter() - start

    for run in (bare, traced, bare, traced):
        run()
    rounds = [(seconds(bare), seconds(traced)) for _ in range(15)]
    ratio = float(np.median([ours / theirs for theirs, ours in rounds]))
    milliseconds = 1e3 * float(np.median([theirs for theirs, _ in rounds]))
    before = torch.cuda.memory_allocated()
    trace = traced()
    kept = torch.cuda.memory_allocated() - before
    start = time.perf_counter()
    check = trace.check([0, 11])
    took = time.perf_counter() - start
    with capsys.disabled():
        print(
            f"\n{kind}, {n_tokens} tokens: traced ÷ bare {ratio:.3f}, bare {milliseconds:.2f} ms, kept "
            f"{kept / 1e6:.0f} MB on the GPU, check of two layers {took:.3f} s: {check}"
        )
    assert check.ok
    assert ratio < 3
