"""A saved trace is the same trace: read back in every family, with its model and without, and refused when damaged."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import FAMILIES, TARGET, TEXT, save, word_tokenizer
from numpy.testing import assert_array_equal
from safetensors.torch import load as load_tensors
from safetensors.torch import save as safetensors

import attn_core as ac
from attn_core.traces.saved import contents, reading, tensors, writing

# groups; a window; caps and norms after; a relative bias and three streams; a parallel block; post-norm; one module
KINDS = ["llama", "mistral", "gemma2", "t5", "gpt_neox", "bert", "albert", "marian"]


def trace_of(model: Any, **options: Any) -> ac.Trace:
    return ac.trace(model, TEXT, target=TARGET if model.kind == "encoder-decoder" else None, **options)


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ac.Model:
    folder = tmp_path_factory.mktemp(request.param)
    save(request.param, folder)
    return ac.load(folder)


@pytest.fixture(scope="module")
def decoder() -> ac.Model:
    return ac.load("tiny-decoder")


@pytest.fixture
def file(decoder: ac.Model, tmp_path: Path) -> Path:
    ac.trace(decoder, "the blue creature ate").save(tmp_path / "x.headlight")
    return tmp_path / "x.headlight"


def kept(stream: Any) -> list[Any]:
    """All that a stream has without its model."""
    heads = [(layer, head) for layer in range(stream.n_layers) for head in range(stream.n_heads)]
    readers = ("query", "key", "value", "scores", "pattern", "weighted_values", "position_bias")
    found = [getattr(stream, name)(*head) for name in readers for head in heads]
    found += [read(layer) for layer in range(stream.n_layers) for read in (stream.may_look, stream.scaling)]
    names = ("embedding", "attention_input", "attention_added", "after_attention", "mlp_added", "attention_memory")
    found += [getattr(stream, name)(0) for name in names]
    return [*found, stream.final_embedding(), stream.tokens, stream.key_tokens, stream.soft_cap(0), stream.block(0)]


def assert_same(ours: list[Any], theirs: list[Any]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        if isinstance(b, np.ndarray):
            assert_array_equal(a, b)
        else:
            assert a == b


def test_what_is_opened_is_what_was_saved(model: ac.Model, tmp_path: Path) -> None:
    trace = trace_of(model)
    trace.save(tmp_path / "x.headlight", with_output=True)
    alone, whole = ac.open_trace(tmp_path / "x.headlight"), ac.open_trace(str(tmp_path / "x.headlight"), model)
    assert (alone.streams, repr(alone), alone.changes) == (trace.streams, repr(trace), trace.changes)
    for name in trace.streams:
        own = trace.stream(name)
        for again in (alone.stream(name), whole.stream(name)):
            assert_same(kept(again), kept(own))
            for layer in range(own.n_layers):
                assert_array_equal(again.delta_e(layer, 1), own.delta_e(layer, 1))
                assert_array_equal(again.delta_e_sizes(layer), own.delta_e_sizes(layer))
                assert_array_equal(again.attention_output(layer), own.attention_output(layer))
    assert whole.check() == trace.check() and whole.check().ok
    assert alone.check()[:2] == trace.check()[:2] and alone.check().ok
    if model.kind != "encoder":
        assert_array_equal(whole.logits(), trace.logits())
        with pytest.raises(ac.NoModel, match="open it with ac.open_trace"):
            alone.logits()
    assert (tmp_path / "x.headlight").stat().st_size < 3 * trace.n_bytes + 200_000  # each tensor once


def test_without_w_o_delta_e_says_what_it_needs(decoder: ac.Model, file: Path) -> None:
    alone = ac.open_trace(file)
    for read in (
        lambda: alone.delta_e(0, 1),
        lambda: alone.attention_output(0),
        lambda: alone.w_v(0, 1),
        lambda: alone.stream().module(),
        lambda: alone.final_norm(np.zeros(64)),
        lambda: alone.score_parts(1, 0, 2, 1),
        lambda: alone.vocabulary,
    ):
        with pytest.raises(ac.NoModel, match=r"needs the weights of tiny-decoder: .*model=ac.load\('tiny-decoder'\)"):
            read()
    assert alone.check().pattern <= 1e-6 and alone.check().not_compared == ("delta", "residual")
    assert_array_equal(
        ac.open_trace(file, decoder).delta_e(0, 1), ac.trace(decoder, "the blue creature ate").delta_e(0, 1)
    )
    assert "html" in ac.show(alone)._repr_html_()


def test_changes_and_what_was_cut_are_kept(decoder: ac.Model, tmp_path: Path) -> None:
    text = "the blue creature ate"
    may_look = ac.trace(decoder, text).may_look(0)
    even = (may_look / may_look.sum(axis=1, keepdims=True)).astype(np.float32)
    trace = ac.trace(decoder, text, without=[(1, 2)], replacement="mean", edit={(0, 1): even})
    trace.save(tmp_path / "x", with_output=True)
    again = ac.open_trace(tmp_path / "x")
    assert again.changes == trace.changes and again.changes.forced[0].cells.tolist() == even.tolist()
    assert_array_equal(again.pattern(0, 1), even)
    assert again.check()[:2] == trace.check()[:2]
    with pytest.raises(ac.HeadlightError, match="switched off"):
        again.delta_e_by_source(1, 2, 0)


def test_what_was_put_and_what_the_model_had_there_are_kept(decoder: ac.Model, tmp_path: Path) -> None:
    other = ac.trace(decoder, "the red creature slept")
    patch = {place(1, 2, position=1): other for place in (ac.at.query, ac.at.key, ac.at.value, ac.at.head)}
    patch |= {ac.at.residual(1): other, ac.at.attention(0): "zero", ac.at.pattern(1, 0): other}
    patch |= {ac.at.after_attention(0, position=2): "mean"}
    trace = ac.trace(decoder, "the blue creature ate", patch=patch)
    trace.save(tmp_path / "x")
    again = ac.open_trace(tmp_path / "x", decoder)
    assert again.changes == trace.changes and again.check() == trace.check() and again.check().ok
    for against in (None, "mean"):
        ours, theirs = (t.score_parts(1, 2, 2, 1, against) for t in (again, trace))
        assert ours.query_writers == theirs.query_writers and "residual patch 1" in ours.key_writers
        assert_array_equal(ours.matrix, theirs.matrix)
    assert pickle.loads(pickle.dumps(trace)).changes == trace.changes


def test_a_file_is_whole_or_stays_as_it_was(decoder: ac.Model, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, link = file.read_bytes(), file.with_name("link")
    link.symlink_to(file)
    trace = ac.trace(decoder, "the red creature slept")
    with monkeypatch.context() as full, pytest.raises(OSError, match="no space"):
        full.setattr(writing, "bytes_of", lambda _: (_ for _ in ()).throw(OSError("no space")))
        trace.save(link)
    assert file.read_bytes() == before and {*file.parent.iterdir()} == {file, link}
    trace.save(link)
    assert link.is_symlink() and ac.open_trace(file).tokens.text == "the red creature slept"
    for name in (file.parent, "/dev/null"):
        with pytest.raises(ac.HeadlightError, match="cannot be written: it is no file"):
            trace.save(name)


def test_the_header_says_what_made_it(decoder: ac.Model, file: Path) -> None:
    data = file.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    content = json.loads(header["__metadata__"]["headlight"])
    assert content["versions"].keys() == {"headlight", "torch", "transformers"}
    assert content["model"]["name"] == "tiny-decoder" and content["model"]["kind"] == "decoder"
    assert content["model"]["weights"] == contents.weights_hash(decoder.hf)


def test_pickles_and_copies_are_the_same_trace(decoder: ac.Model) -> None:
    trace = ac.trace(decoder, "the blue creature ate", without=[(0, 3)])
    again = pickle.loads(pickle.dumps(trace))
    assert_same(kept(again.stream()), kept(trace.stream()))
    assert again.changes == trace.changes
    for copied in (copy.copy(trace), copy.deepcopy({"one": trace})["one"]):
        assert_array_equal(copied.delta_e(0, 1), trace.delta_e(0, 1))


def test_a_model_with_other_weights_is_refused(decoder: ac.Model, file: Path) -> None:
    other = copy.deepcopy(decoder.hf)
    with torch.no_grad():
        next(other.parameters())[0, 0] += 1
    with pytest.raises(ac.HeadlightError, match="made with other weights of tiny-decoder than those of another"):
        ac.open_trace(file, ac.wrap(other, decoder.tokenizer, name="another"))


def test_foreign_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    deep = safetensors({"t0": torch.zeros(1)}, {"headlight": "[" * 100_000})
    foreign = {
        "empty": b"",
        "text": b"a fluffy blue creature " * 9,
        "pickle": pickle.dumps({"a": 1}),
        "weights": safetensors({"t0": torch.zeros(3)}),
        "deep": deep,
        "wrong": safetensors({"t0": torch.zeros(1)}, {"headlight": "[]"}),
    }
    for name, data in foreign.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ac.HeadlightError, match="This is no saved trace"):
            ac.open_trace(tmp_path / name)
    (tmp_path / "later").write_bytes(safetensors({"t0": torch.zeros(1)}, {"headlight": '{"format": 4}'}))
    with pytest.raises(ac.HeadlightError, match="saved in format 4; this version reads formats 1 to 3"):
        ac.open_trace(tmp_path / "later")
    with pytest.raises(ac.HeadlightError, match="nowhere cannot be read: No such file"):
        ac.open_trace(tmp_path / "nowhere")


def test_a_header_or_a_file_beyond_its_bound_is_refused_before_it_is_parsed(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound in ("MOST_HEADER", "MOST_BYTES"):
        with monkeypatch.context() as patch:
            patch.setattr(reading, bound, 100)
            patch.setattr(contents, bound, 100, raising=False)
            patch.setattr(reading.json, "loads", None)
            with pytest.raises(ac.HeadlightError, match="larger than any"):
                ac.open_trace(file)


def sealed(content: Any, by_name: dict[str, torch.Tensor]) -> dict[str, str]:
    """What stands in a header, with a checksum that fits: only the checks behind it can refuse the file."""
    said = json.dumps(content)
    return {"headlight": said, "sha256": contents.checksum(said, by_name)}


def damaged(data: bytes, change: Any) -> bytes:
    """The file with something else in its description."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    content = json.loads(header["__metadata__"]["headlight"])
    change(content)
    header["__metadata__"] = sealed(content, load_tensors(data))
    said = json.dumps(header).encode()
    return len(said).to_bytes(8, "little") + said + data[8 + size :]


def test_files_of_the_first_format_are_read(tmp_path: Path) -> None:
    """In it every tensor of a block was kept."""
    model = ac.wrap(FAMILIES["bert"].build(), word_tokenizer())
    trace = ac.trace(model, TEXT)
    trace.save(tmp_path / "x")

    def older(content: Any) -> None:
        content["format"] = 1
        for layer in content["streams"][0]["layers"]:
            del layer["sample"]
            for name in ("derived", "to_x", "to_mlp"):
                del layer["site"][name]

    (tmp_path / "x").write_bytes(damaged((tmp_path / "x").read_bytes(), older))
    again = ac.open_trace(tmp_path / "x", model)
    assert_same(kept(again.stream()), kept(trace.stream()))
    assert again.check() == trace.check()


def test_every_value_that_does_not_fit_is_refused(file: Path) -> None:
    """Each leaf of the description in turn becomes another kind of thing: never a raw error, never a wrong trace."""
    data = file.read_bytes()
    assert ac.Trace.of_file(reading.from_bytes(damaged(data, lambda content: None))).n_layers == 2

    def leaves(said: Any) -> Any:
        for name, value in said.items() if isinstance(said, dict) else enumerate(said):
            if isinstance(value, dict | list) and value:
                yield from leaves(value)
            else:
                yield said, name

    content: Any = {}
    damaged(data, content.update)
    places = list(leaves(content))
    assert len(places) > 150
    optional = 0
    for said, name in places[4:]:  # not its format and versions
        before = said[name]
        for wrong in ({"a": [1]}, -(2**40), "t999", None):
            said[name] = wrong
            changed = damaged(data, lambda own: own.update(content))
            try:
                reading.from_bytes(changed)
                assert not isinstance(wrong, dict)
                optional += 1
            except ac.HeadlightError as error:
                assert "damaged" in str(error) or "format" in str(error)
        said[name] = before
    assert optional < len(places)


def changed(data: bytes, say: Any, **tensors: torch.Tensor) -> bytes:
    """The file with something else in its description, and more tensors."""
    size = int.from_bytes(data[:8], "little")
    content = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["headlight"])
    say(content["streams"][0]["layers"])
    by_name = {**load_tensors(data), **tensors}
    return bytes(safetensors(by_name, sealed(content, by_name)))


@pytest.mark.parametrize(
    "say",
    [
        lambda layers: layers.extend(layers * 500),  # 1,002 layers of the same few tensors
        lambda layers: layers[0].update(replaced={"99": layers[0]["query"]}, forced={}),
        lambda layers: layers[0].update(replaced={"99": ["part", "rows"]}),
        lambda layers: layers[0].update(forced={"-1": "square"}),
        lambda layers: layers[0].update(mask=[-2, 0, None, None]),
        lambda layers: layers[0].update(key="three", value="three"),
        lambda layers: layers[0].update(scaling=float("nan")),
        lambda layers: layers[0].update(soft_cap=float("inf")),
        lambda layers: layers[0]["site"].update(n_heads=10**12),
        lambda layers: layers[0].update(bias="three"),
    ],
)
def test_what_no_model_can_have_left_is_refused(file: Path, say: Any) -> None:
    trace = ac.open_trace(file)
    query, value = trace.query(0, 0), trace.value(0, 0)
    more = {
        "part": torch.zeros(len(query), value.shape[1]),
        "square": torch.full((len(query), len(query)), 1 / len(query)),
        "rows": torch.ones(len(query), dtype=torch.bool),
        "three": torch.zeros(3, *query.shape),
    }
    reading.from_bytes(
        changed(file.read_bytes(), lambda layers: layers[0].update(replaced={"1": ["part", "rows"]}), **more)
    )
    with pytest.raises(ac.HeadlightError, match="damaged"):
        reading.from_bytes(changed(file.read_bytes(), say, **more))


def test_a_tensor_is_kept_once_and_another_view_of_it_is_another() -> None:
    square, kept_tensors = torch.arange(4.0).reshape(2, 2), tensors.Tensors()
    views = square, square.T, square.reshape(4), square.view(torch.int32), square[:1]
    names = [kept_tensors.keep(view) for view in views]
    assert len(set(names)) == len(views) and kept_tensors.keep(square[:]) == names[0]
    for name, view in zip(names, views, strict=True):
        assert torch.equal(kept_tensors[name], view)


def test_the_hash_of_weights_knows_names_and_shapes() -> None:
    wide, narrow = torch.nn.Linear(3, 2, bias=False), torch.nn.Linear(2, 3, bias=False)
    for linear in (wide, narrow):
        torch.nn.init.zeros_(linear.weight)
    models = wide, narrow, torch.nn.Sequential(wide)
    assert len({contents.weights_hash(model) for model in models}) == 3


@pytest.mark.parametrize("part", ["a tap", "W_O", "W_Q", "the final norm"])
def test_a_model_that_is_built_in_another_way_is_refused(decoder: ac.Model, tmp_path: Path, part: str) -> None:
    """Also where the file does not know the weights, since its model had been unloaded."""
    trace = ac.trace(decoder, "the blue creature ate")
    data = writing.to_bytes(contents.About("x", "gpt2", "decoder"), trace.changes, [trace.stream()], {})
    layer = trace.stream()._layers[0]
    name = {
        "a tap": layer.site.x.module,
        "W_O": layer.site.output.module,
        "W_Q": layer.site.query.linear.module,
        "the final norm": trace.stream()._final_norm,
    }[part]
    (tmp_path / "x").write_bytes(data)
    assert ac.open_trace(tmp_path / "x", decoder).check().ok

    def say(content: Any) -> None:
        content["streams"] = json.loads(json.dumps(content["streams"]).replace(f'"{name}"', '"elsewhere"'))

    (tmp_path / "y").write_bytes(damaged(data, say))
    with pytest.raises(ac.HeadlightError, match="built in another way than tiny-decoder"):
        ac.open_trace(tmp_path / "y", decoder)


def test_what_has_no_end_is_never_read() -> None:
    with pytest.raises(ac.HeadlightError, match="zero cannot be read: it is no file"):
        ac.open_trace("/dev/zero")


def test_a_cut_file_is_refused(file: Path) -> None:
    data = file.read_bytes()
    for n in (9, 300, len(data) // 2, len(data) - 1):
        with pytest.raises(ac.HeadlightError, match="no saved trace|damaged"):
            reading.from_bytes(data[:n])


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_a_single_flipped_bit_is_refused(file: Path, at: float) -> None:
    """In the numbers, too: they would be taken for the model's."""
    data = bytearray(file.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    data[start + int(at * (len(data) - start))] ^= 1
    with pytest.raises(ac.HeadlightError, match="damaged"):
        reading.from_bytes(bytes(data))


def test_a_wrapped_models_trace_is_kept_too(tmp_path: Path) -> None:
    save("gpt2", tmp_path / "gpt2")
    loaded = ac.load(tmp_path / "gpt2")
    trace = ac.trace(ac.wrap(loaded.hf, word_tokenizer()), [3, 4, 5])
    trace.save(tmp_path / "x")
    assert ac.open_trace(tmp_path / "x").tokens.ids == [3, 4, 5]
