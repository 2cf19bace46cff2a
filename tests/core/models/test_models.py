"""Loading: what loads is the model that was saved, and every way to be wrong gets one clear sentence."""

import gc
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers import models as token_models
from tokenizers.pre_tokenizers import Whitespace
from two_languages import marian_tokenizer

import attn_core as ac
from attn_core import settings
from attn_core.capture import interface
from attn_core.errors import DamagedModel, NoNetwork, UnknownModel, UnsupportedFamily
from attn_core.models import cards, catalogue, loading, sources, verification
from attn_core.models.catalogue import CATALOGUE, availability, entry_of

WORDS = ["[PAD]", "[UNK]", "a", "fluffy", "blue", "creature", *(f"word{i}" for i in range(26))]
BERT = {"vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def save_tokenizer(folder: Path) -> None:
    words = Tokenizer(token_models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]")
    fast.save_pretrained(folder)


def save(model: torch.nn.Module, folder: Path) -> Path:
    model.save_pretrained(folder)
    save_tokenizer(folder)
    return folder


@pytest.fixture
def bert(tmp_path):
    return save(transformers.BertModel(transformers.BertConfig(**BERT)), tmp_path / "bert")


def change_config(folder: Path, **facts: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))


def change_weights(folder: Path, change) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_folder_loads_as_it_was_saved(bert):
    said: list[str] = []
    model = ac.load(bert, progress=lambda message, fraction=None: said.append(message))
    saved = load_file(bert / "model.safetensors")
    read = model.hf.state_dict()
    assert all(torch.equal(read[name], saved[name]) for name in saved)
    assert not model.hf.training
    assert not any(p.requires_grad for p in model.hf.parameters())
    assert model.hf.config._attn_implementation == interface.NAME
    assert said and "reading the weights" in said
    assert ac.trace(model, "a fluffy blue creature").tokens.labels == ["a", "fluffy", "blue", "creature"]


def test_half_precision_is_read_as_float32(bert):
    transformers.BertModel(transformers.BertConfig(**BERT)).half().save_pretrained(bert)
    assert {p.dtype for p in ac.load(bert).hf.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("saved", "kind", "opened"),
    [
        (transformers.BertModel(transformers.BertConfig(**BERT)), "encoder", "BertModel"),
        (transformers.BertForMaskedLM(transformers.BertConfig(**BERT)), "encoder", "BertForMaskedLM"),
        (
            transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=32, n_embd=16, n_layer=2, n_head=2)),
            "decoder",
            "GPT2LMHeadModel",
        ),
        (
            transformers.T5ForConditionalGeneration(
                transformers.T5Config(
                    vocab_size=32, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, decoder_start_token_id=0
                )
            ),
            "encoder-decoder",
            "T5ForConditionalGeneration",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, torch.nn.Module) else str(value),
)
def test_the_right_class_for_each_architecture(tmp_path, saved, kind, opened):
    model = ac.load(save(saved, tmp_path / "m"))
    assert (model.kind, type(model.hf).__name__) == (kind, opened)
    entry = entry_of(str(tmp_path / "m"))
    assert (entry.architecture, entry.n_heads) == (kind, 2)
    assert entry.n_layers == (1 if kind == "encoder-decoder" else 2)


def test_a_translator_with_a_tokenizer_for_each_language(tmp_path):
    tokenizer = marian_tokenizer(tmp_path)
    tokenizer.save_pretrained(tmp_path / "m")
    n, pad = len(tokenizer.encoder), tokenizer.encoder["<pad>"]
    config = transformers.MarianConfig(
        vocab_size=n, decoder_vocab_size=len(tokenizer.target_encoder), share_encoder_decoder_embeddings=False,
        tie_word_embeddings=False, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=32,
        pad_token_id=pad, eos_token_id=0, decoder_start_token_id=pad, attn_implementation="eager",
    )  # fmt: skip
    saved = transformers.MarianMTModel(config).eval()
    saved.save_pretrained(tmp_path / "m")
    trace = ac.trace(ac.load(tmp_path / "m"), "the blue cat", target="le chat bleu")
    queries, keys = trace.tokens_of("cross")
    assert queries.word_labels == ["<pad>", "le", "chat", "bleu"] and keys.word_labels == ["the", "blue", "cat", "</s>"]
    with torch.no_grad():
        judge = saved(
            input_ids=torch.tensor([keys.ids]), decoder_input_ids=torch.tensor([queries.ids]), output_attentions=True
        )
    seen = judge.cross_attentions[0][0]
    assert abs(torch.tensor(trace.patterns(0, stream="cross")) - seen).max() < 1e-5


def test_a_translator_of_before_2023_opens_with_its_pickled_weights_and_its_two_languages(tmp_path, operator_sets):
    """As the hub has OPUS-MT: SentencePiece files beside, one table of words for both languages, each tie in full."""
    operator_sets(HEADLIGHT_CACHE=str(tmp_path / "cache"))
    tokenizer = marian_tokenizer(tmp_path)
    tokenizer.save_pretrained(folder := tmp_path / "m")
    n = max(len(tokenizer.encoder), len(tokenizer.target_encoder))
    config = transformers.MarianConfig(
        vocab_size=n, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=32,
        pad_token_id=tokenizer.encoder["<pad>"], eos_token_id=0, decoder_start_token_id=tokenizer.encoder["<pad>"],
        attn_implementation="eager",
    )  # fmt: skip
    saved = transformers.MarianMTModel(config).eval()
    config.save_pretrained(folder)
    config_file = folder / "config.json"
    config_file.write_text(json.dumps(json.loads(config_file.read_text()) | {"architectures": ["MarianMTModel"]}))
    torch.save(saved.state_dict(), folder / "pytorch_model.bin")
    model = ac.load(folder)
    assert model.kept_as == "converted from pytorch_model.bin" and model.n_parameters == saved.num_parameters()
    trace = ac.trace(model, "the blue cat", target="le chat bleu")
    queries, keys = trace.tokens_of("cross")
    with torch.no_grad():
        judge = saved(
            input_ids=torch.tensor([keys.ids]), decoder_input_ids=torch.tensor([queries.ids]), output_attentions=True
        )
    assert abs(torch.tensor(trace.patterns(0, stream="cross")) - judge.cross_attentions[0][0]).max() < 1e-5


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownModel, match="minilm"):
        ac.load("minlm")
    with pytest.raises(UnknownModel, match="gpt2"):
        ac.load("GPT3")
    for nothing in ("./no/such/folder", "", " "):
        with pytest.raises(UnknownModel):
            ac.load(nothing)


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(DamagedModel, match=r"no config\.json"):
        ac.load(tmp_path)
    (tmp_path / "config.json").write_text("{]")
    with pytest.raises(DamagedModel, match="no JSON"):
        ac.load(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DamagedModel, match=r"no model\.safetensors"):
        ac.load(tmp_path)
    with pytest.raises(DamagedModel, match="is a file"):
        ac.load(tmp_path / "config.json")
    (tmp_path / "model.safetensors").touch()
    for wrong in ('"many"', "0", "[]", "1.5", "true"):
        (tmp_path / "config.json").write_text(f'{{"model_type": "gpt2", "n_layer": {wrong}}}')
        with pytest.raises(DamagedModel, match="n_layer must be a whole number from 1"):
            ac.load(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(DamagedModel, match="holds a list"):
        ac.load(tmp_path)


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 90868376\n"


@pytest.mark.parametrize(
    ("files", "without", "error", "says"),
    [
        ({"model.safetensors": LFS_POINTER}, (), DamagedModel, "Git LFS pointer.*git lfs pull"),
        ({"model.gguf": b"GGUF"}, ("model.safetensors",), DamagedModel, "cut or damaged: it is no GGUF file"),
        ({"model.gguf": b"GGUF"}, ("model.safetensors", "config.json"), DamagedModel, "damaged: it is no GGUF file"),
        (
            dict.fromkeys(["a.gguf", "b.gguf"], b""),
            ("model.safetensors",),
            DamagedModel,
            "several GGUF files: give one",
        ),
        ({"adapter_config.json": b"{}"}, ("config.json",), DamagedModel, "which model it is for.*merge_and_unload"),
        ({"adapter_model.safetensors": b""}, ("model.safetensors",), DamagedModel, "adapter only.*merge_and_unload"),
        ({"model.safetensors.index.json": b"{}"}, ("model.safetensors",), DamagedModel, "not complete: model.safe"),
    ],
)
def test_weights_in_another_form_are_named_with_the_way_out(bert, files, without, error, says):
    for name in without:
        (bert / name).unlink()
    for name, data in files.items():
        (bert / name).write_bytes(data)
    with pytest.raises(error, match=says):
        ac.load(bert)


def test_quantised_weights_are_named(bert):
    change_config(bert, quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    with pytest.raises(UnsupportedFamily, match=r"quantised weights \(bitsandbytes\)"):
        ac.load(bert)


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.int32, torch.float8_e4m3fn])
def test_matrices_without_their_scales_are_no_weights(bert, kind):
    """They would be opened as float32 and draw patterns of nothing."""
    name = "encoder.layer.1.attention.self.query.weight"
    change_weights(bert, lambda tensors: tensors.update({name: (10 * tensors[name]).to(kind)}))
    with pytest.raises(UnsupportedFamily, match="quantised weights .* which mean nothing without their scales"):
        ac.load(bert)


_IMAGE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
_SWIN = {"image_size": 32, "patch_size": 4, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}
_SOUND = _IMAGE | {"vocab_size": 32, "conv_dim": (16,) * 7}
LOOKS_OR_LISTENS = [
    (transformers.ViTModel(transformers.ViTConfig(**_IMAGE, image_size=16, patch_size=8)), "vit", "images"),
    (transformers.SwinModel(transformers.SwinConfig(**_SWIN)), "swin", "images"),  # its heads are a list, by stages
    (transformers.HubertModel(transformers.HubertConfig(**_SOUND)), "hubert", "sound"),
]


@pytest.mark.parametrize(("model", "family", "reads"), LOOKS_OR_LISTENS, ids=["vit", "swin", "hubert"])
def test_a_folder_that_looks_or_listens_misses_no_tokenizer(tmp_path, model, family, reads):
    model.save_pretrained(tmp_path)
    with pytest.raises(UnsupportedFamily, match=f"is a {family} model: it reads {reads}, and no text. Open it with"):
        ac.load(tmp_path)


def test_numbers_without_end_are_read_as_the_library_writes_them(tmp_path):
    """JSON knows no infinity, so the library saves {"__float__": "Infinity"}."""
    sizes = {"vocab_size": 32, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "mamba_n_heads": 4}
    config = transformers.BambaConfig(
        **sizes, num_attention_heads=4, num_key_value_heads=2, mamba_d_head=16, mamba_n_groups=1, mamba_d_state=4,
        attn_layer_indices=[0, 1],
    )  # fmt: skip
    folder = save(transformers.BambaForCausalLM(config), tmp_path / "bamba")
    assert '"__float__"' in (folder / "config.json").read_text()
    assert ac.load(folder).n_parameters == ac.count_parameters(folder).total


def test_a_folder_without_a_tokenizer_says_so_to_the_end(bert):
    for file in [*bert.glob("*token*"), *bert.glob("vocab*")]:
        file.unlink()
    with pytest.raises(DamagedModel, match=r"its files are missing. Save it beside the model: tokenizer.save_pretra"):
        ac.load(bert)


def test_a_tokenizer_that_knows_special_tokens_alone_is_named(bert):
    said = json.loads((bert / "tokenizer.json").read_text())
    said["model"]["vocab"] = {word: i for word, i in said["model"]["vocab"].items() if word.startswith("[")}
    (bert / "tokenizer.json").write_text(json.dumps(said))
    with pytest.raises(DamagedModel, match=r"knows no words, only its special tokens.*vocab_file=, which it ignores"):
        ac.load(bert)


def test_a_pooler_that_nobody_learnt_is_not_counted(bert):
    with_pooler = ac.load(bert).n_parameters
    change_weights(bert, lambda tensors: [tensors.pop(f"pooler.dense.{name}") for name in ("weight", "bias")])
    model = ac.load(bert)
    assert model.n_parameters == sum(tensor.numel() for tensor in load_file(bert / "model.safetensors").values())
    assert model.n_parameters < with_pooler and ac.trace(model, "the old fox").check().ok


def test_weights_saved_inside_data_parallel_are_named(bert):
    tensors = {f"module.{name}": tensor for name, tensor in load_file(bert / "model.safetensors").items()}
    save_file(tensors, bert / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DamagedModel, match="DataParallel"):
        ac.load(bert)


def test_pickled_weights_of_another_kind_are_never_opened(bert):
    (bert / "model.safetensors").unlink()
    (bert / "model.pt").write_bytes(b"not even a pickle")
    with pytest.raises(DamagedModel, match="can run code"):
        ac.load(bert)
    (bert / "pytorch_model.bin").write_bytes(b"not even a pickle")
    with pytest.raises(DamagedModel, match=r"pytorch_model\.bin of .* cut or damaged"):
        ac.load(bert)


@pytest.mark.parametrize("kept", [0, 5, 0.5, 0.99])
def test_a_cut_file(bert, kept):
    file = bert / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(kept if kept >= 1 else kept * len(whole))])
    with pytest.raises(DamagedModel, match="cut or damaged"):
        ac.load(bert)


def test_missing_weights_are_no_noise(bert):
    change_weights(bert, lambda tensors: tensors.pop("encoder.layer.1.attention.self.query.weight"))
    with pytest.raises(DamagedModel, match=r"lacks weights: 1 .*layer\.1\.attention\.self\.query"):
        ac.load(bert)


def test_weights_of_layers_that_the_configuration_lacks(bert):
    change_config(bert, num_hidden_layers=1)
    with pytest.raises(DamagedModel, match=r"knows nothing of.*layer\.1"):
        ac.load(bert)


def test_weights_of_another_size(bert):
    change_config(bert, intermediate_size=48)
    with pytest.raises(DamagedModel, match="do not fit"):
        ac.load(bert)


def test_a_missing_shard(bert):
    model = transformers.BertModel(transformers.BertConfig(**BERT))
    (bert / "model.safetensors").unlink()
    model.save_pretrained(bert, max_shard_size="8KB")
    shards = sorted(bert.glob("model-*.safetensors"))
    assert len(shards) > 1 and ac.load(bert).kind == "encoder"
    shards[0].unlink()
    with pytest.raises(DamagedModel, match="not complete"):
        ac.load(bert)


@pytest.mark.parametrize("how", ["missing", "broken"])
def test_a_tokenizer_that_cannot_be_read(bert, how):
    for file in bert.glob("tokenizer*"):
        file.unlink() if how == "missing" else file.write_text('{"version": "1.0", "model": 3}')
    with pytest.raises(DamagedModel, match="tokenizer"):
        ac.load(bert)


def test_code_beside_a_model_is_never_run(bert, tmp_path):
    ran = tmp_path / "ran"
    (bert / "modeling_own.py").write_text(f"open({str(ran)!r}, 'w')\nclass Own: pass\nclass OwnConfig: pass\n")
    own = {"AutoConfig": "modeling_own.OwnConfig", "AutoModel": "modeling_own.Own"}
    change_config(bert, model_type="own", auto_map=own)
    with pytest.raises(UnsupportedFamily, match="never runs code"):
        ac.load(bert)
    change_config(bert, model_type="bert", architectures=["Own"])
    assert type(ac.load(bert).hf).__name__ == "BertModel"
    assert not ran.exists()


def test_a_family_that_the_interface_does_not_reach(tmp_path):
    config = transformers.GPTNeoConfig(
        vocab_size=32, hidden_size=16, num_layers=2, num_heads=2, attention_types=[[["global"], 2]]
    )
    with pytest.raises(UnsupportedFamily, match=r"(?i)gpt.?neo"):
        ac.load(save(transformers.GPTNeoForCausalLM(config), tmp_path / "neo"))


def test_the_bundled_file_is_checked_by_its_published_hash(monkeypatch):
    entry = CATALOGUE["minilm"]
    assert entry.sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    monkeypatch.setitem(CATALOGUE, "minilm", replace(entry, name="minilm-altered", sha256="0" * 64))
    with pytest.raises(DamagedModel, match="not the published file"):
        ac.load("minilm")


@pytest.mark.parametrize("name", ["minilm", "tiny-decoder", "tiny-translator"])
def test_every_file_that_is_read_has_a_hash(name, tmp_path):
    entry = CATALOGUE[name]
    folder = shutil.copytree(sources.installed_folder(entry), tmp_path / "copy")
    assert {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"} <= set(entry.hashes)
    verification.verify(folder, entry.hashes, name)
    for file in entry.hashes:
        before = (folder / file).read_bytes()
        (folder / file).write_bytes(before + b" ")
        with pytest.raises(DamagedModel, match="not the published file"):
            verification.verify(folder, entry.hashes, name)
        (folder / file).write_bytes(before)


def test_nothing_is_parsed_before_its_hash_is_checked(monkeypatch):
    altered = replace(CATALOGUE["minilm"], name="minilm-altered", files=(("tokenizer.json", "0" * 64),))
    monkeypatch.setitem(CATALOGUE, "minilm", altered)
    monkeypatch.setattr(loading, "read_checkpoint", lambda *_: pytest.fail("it was read"))
    with pytest.raises(DamagedModel, match=r"tokenizer\.json is not the published file"):
        ac.load("minilm")


def test_one_changed_byte_is_noticed(tmp_path):
    file = tmp_path / "weights"
    file.write_bytes(b"abc")
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # the standard's own example
    verification.check_hash(file, abc)
    file.write_bytes(b"abd")
    with pytest.raises(DamagedModel):
        verification.check_hash(file, abc)


def test_threads_that_ask_at_once_get_one_model(bert, monkeypatch):
    reads = []
    read = loading.read_checkpoint
    monkeypatch.setattr(loading, "read_checkpoint", lambda *a, **k: reads.append(1) or read(*a, **k))
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(ac.load, [bert] * 6))
    assert len(reads) == 1
    assert len(found) == 6 and len({id(model) for model in found}) == 1


def test_nobody_else_keeps_a_model_alive(bert):
    ac.load(bert)
    gc.collect()
    assert not [key for key in loading._loaded if str(bert) in key[0]]


def test_a_folder_trained_further_is_another_model(bert):
    before = ac.load(bert)
    change_weights(bert, lambda tensors: tensors["embeddings.word_embeddings.weight"].mul_(2))
    os.utime(bert / "model.safetensors", (1, 2_000_000_000))
    after = ac.load(bert)
    assert after is not before
    assert torch.equal(after.hf.get_input_embeddings().weight, 2 * before.hf.get_input_embeddings().weight)


def test_a_public_server_offers_the_catalogue_only(bert, operator_sets):
    operator_sets(HEADLIGHT_MODE="public")
    for name in (str(bert), "owner/model", "../" + bert.name):
        with pytest.raises(UnknownModel):
            ac.load(name)
    with pytest.raises(UnknownModel):
        entry_of(str(bert))
    operator_sets(HEADLIGHT_MODE="Public")
    with pytest.raises(ValueError, match="'local' or 'public'"):
        ac.load(str(bert))


def test_without_the_hub_its_models_say_so():
    assert os.environ["HF_HUB_OFFLINE"] == "1"  # tests run offline
    for name, entry in CATALOGUE.items():
        there, reason = availability(name)
        assert reason
        if entry.kind == "hub" and not there:
            with pytest.raises(NoNetwork, match="HF_HUB_OFFLINE"):
                ac.load(name)
    assert availability("minilm") == (True, "comes with the install")


def test_a_shipped_model_that_is_not_in_this_copy(monkeypatch, tmp_path):
    monkeypatch.setattr(cards, "assets_folder", lambda: tmp_path)
    there, reason = availability("tiny-decoder")
    assert not there and "tiny-decoder" in reason
    monkeypatch.setattr(loading, "_loaded", {})
    with pytest.raises(DamagedModel, match="tiny-decoder"):
        ac.load("tiny-decoder")


def test_what_is_on_offer_is_told_without_heavy_imports():
    code = (
        "import sys; from attn_core.models import catalogue\n"
        "for name in catalogue.CATALOGUE: catalogue.availability(name)\n"
        "assert not {'torch', 'transformers', 'streamlit'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


PYTHIA = {"vocab_size": 50304, "num_attention_heads": 8, "num_hidden_layers": 6, "hidden_size": 512}
SMOL = {"vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "tie_word_embeddings": True}
MARIAN = {"vocab_size": 59514, "d_model": 512, "pad_token_id": 59513, "decoder_start_token_id": 59513}
STACKS = [f"{side}_{part}" for side in ("encoder", "decoder") for part in ("layers", "attention_heads", "ffn_dim")]
LIBRARY = {  # what the library's own classes say of the published configurations
    "minilm": ("BertModel", {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536}),
    "gpt2": ("GPT2LMHeadModel", {}),
    "distilgpt2": ("GPT2LMHeadModel", {"n_layer": 6}),
    "bert-base-uncased": ("BertModel", {}),
    "distilbert-base-uncased": ("DistilBertModel", {}),
    "roberta-base": ("RobertaModel", {"vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1}),
    "EleutherAI/pythia-70m": ("GPTNeoXForCausalLM", PYTHIA | {"intermediate_size": 2048}),
    "EleutherAI/pythia-160m": (
        "GPTNeoXForCausalLM",
        PYTHIA | {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    ),
    "HuggingFaceTB/SmolLM2-135M": (
        "LlamaForCausalLM",
        SMOL | {"num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3},
    ),
    "smollm2": (
        "LlamaForCausalLM",
        SMOL | {"num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3},
    ),
    "whisper-tiny.en": (
        "WhisperForConditionalGeneration",
        {"d_model": 384, "vocab_size": 51864, "pad_token_id": 50256} | dict(zip(STACKS, [4, 6, 1536] * 2, strict=True)),
    ),
    "rxnmapper": (
        "AlbertModel",
        {"vocab_size": 591, "embedding_size": 128, "hidden_size": 256, "intermediate_size": 512}
        | {"num_attention_heads": 8, "max_position_embeddings": 512},
    ),
    "e5-multilingual": (
        "BertModel",
        {"vocab_size": 250037, "hidden_size": 384, "intermediate_size": 1536, "max_position_embeddings": 512},
    ),
    "t5-small": (
        "T5ForConditionalGeneration",
        {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8},
    ),
    "Helsinki-NLP/opus-mt-en-fr": (
        "MarianMTModel",
        MARIAN | {"max_position_embeddings": 512} | dict(zip(STACKS, [6, 8, 2048] * 2, strict=True)),
    ),
}


@pytest.mark.parametrize("name", [n for n, e in CATALOGUE.items() if e.kind != "shipped"])
def test_the_catalogue_says_what_the_library_counts(name):
    class_name, facts = LIBRARY[name]
    model_class = getattr(transformers, class_name)
    with torch.device("meta"):
        model = model_class(model_class.config_class(**facts))
    entry = CATALOGUE[name]
    assert entry.parameters == sum(p.numel() for p in model.parameters())
    assert (entry.n_layers, entry.n_heads) == (model.config.num_hidden_layers, model.config.num_attention_heads)
    assert bool(entry.n_decoder_layers) == model.config.is_encoder_decoder
    assert entry.limit <= settings.settings().tokens


def test_only_what_a_tool_printed_is_pinned():
    pins = json.loads((catalogue.assets_folder() / "data" / catalogue.PINS).read_text())
    for name, entry in CATALOGUE.items():
        assert (entry.revision, entry.size) == tuple(pins.get(name, {}).get(k) for k in ("revision", "size"))


@pytest.mark.parametrize("name", ["num_hidden_layers", "hidden_size", "vocab_size"])
def test_a_configuration_beyond_all_models_is_refused_before_anything_is_built(bert, name):
    change_config(bert, **{name: 100_000_000})
    start = time.thread_time()
    with pytest.raises(DamagedModel, match=f"asks for {name} = 100,000,000; no model that is known has more"):
        ac.load(str(bert))
    assert time.thread_time() - start < 30  # built, a million layers took minutes and gigabytes


def test_a_tokenizer_that_panics_is_a_clear_sentence(bert, monkeypatch):
    class PanicException(BaseException):
        pass

    model = ac.load(str(bert))

    def panics(*args, **options):
        raise PanicException("called `Result::unwrap()` on an `Err` value")

    monkeypatch.setattr(type(model.tokenizer), "__call__", panics)
    with pytest.raises(DamagedModel, match="tokenizer breaks on this text"):
        ac.trace(model, "a fox")
