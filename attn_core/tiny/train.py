"""Train the small models: `python -m attn_core.tiny.train decoder|translator --seed N`, a few minutes on one core.

Writes a checkpoint of the transformers library and card.json, which says what was trained and how well, into a folder;
of the decoder also its weights at twelve steps, rounded, for the page that shows how it learnt (`history`).
`--card` writes the card alone, for the weights that are there, as after a change of the examples in `tiny/card.py`.
A run that was interrupted goes on where it stopped; with one thread it ends with the same bits.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from attn_core.settings import assets_folder
from attn_core.tiny import card as cards
from attn_core.tiny import checkpoints, history
from attn_core.tiny import grammar_phrases as phrases
from attn_core.tiny import grammar_stories as stories
from attn_core.tiny.decoder import Decoder, DecoderShape
from attn_core.tiny.evaluation import decoder_report, numbers, translator_report
from attn_core.tiny.training_loop import Loss, Recipe, fit
from attn_core.tiny.translator import Translator, TranslatorShape

DECODER = Recipe(steps=3500, batch=16, weight_decay=0.01, sharpen=0.1)
TRANSLATOR = Recipe(steps=1200, batch=64, weight_decay=0.05, sharpen=0.03)

SHIPPED = {"decoder": 1, "translator": 0}  # the seeds of the weights in assets


def spread(patterns: list[Tensor]) -> Tensor:
    """The mean entropy of attention rows in nats: 0 where every query looks at one key."""
    return torch.stack([-(p * (p + 1e-9).log()).sum(dim=-1).mean() for p in patterns]).mean()


def decoder_loss(model: Decoder, recipe: Recipe, seed: int) -> Loss:
    """Next-word loss on the rows of a step, plus the price of unsharp heads."""
    ids = {word: number for number, word in enumerate(stories.vocabulary())}

    def loss(step: int) -> tuple[Tensor, float]:
        rng = Random(f"{seed} {step}")
        rows = [stories.row(rng, model.shape.context)[0] for _ in range(recipe.batch)]
        words = torch.tensor([[ids[word] for word in row] for row in rows])
        logits, patterns = model(words)
        plain = functional.cross_entropy(logits[:, :-1].flatten(0, 1), words[:, 1:].flatten())
        return plain + recipe.sharpen_at(step) * spread(patterns), plain.item()

    return loss


def translator_loss(model: Translator, recipe: Recipe, seed: int) -> Loss:
    """Loss of every French word given the English and the French before it, plus the price of unsharp cross heads."""
    pad = numbers([phrases.PAD])[0]

    def padded(sentences: list[list[str]]) -> Tensor:
        longest = max(map(len, sentences))
        return torch.tensor([numbers([*words, *[phrases.PAD] * (longest - len(words))]) for words in sentences])

    def loss(step: int) -> tuple[Tensor, float]:
        rng = Random(f"{seed} {step}")
        pairs = [phrases.sentence(rng) for _ in range(recipe.batch)]
        english = padded([[*pair.english, phrases.END] for pair in pairs])
        french = padded([[phrases.START, *pair.french, phrases.END] for pair in pairs])
        memory, _ = model.read(english, english != pad)
        logits, _, patterns = model.write(french[:, :-1], memory, english != pad)
        plain = functional.cross_entropy(logits.flatten(0, 1), french[:, 1:].flatten(), ignore_index=pad)
        return plain + recipe.sharpen_at(step) * spread(patterns), plain.item()

    return loss


def new_decoder(seed: int) -> Decoder:
    """A decoder that has learnt nothing yet."""
    torch.manual_seed(seed)
    return Decoder(DecoderShape(len(stories.vocabulary())))


def new_translator(seed: int) -> Translator:
    """A translator that has learnt nothing yet."""
    torch.manual_seed(seed)
    return Translator(TranslatorShape(len(phrases.vocabulary())))


def train(name: str, seed: int, folder: Path, recipe: Recipe, progress: Callable[[int, float], None]) -> dict[str, Any]:
    """Train "decoder" or "translator" into a folder and return its card."""
    folder.mkdir(parents=True, exist_ok=True)
    half_way = folder / f"training-{seed}-{recipe.steps}.pt"  # another seed or schedule is another run
    model: Decoder | Translator
    if name == "decoder":
        model = decoder = new_decoder(seed)
        if not half_way.exists():
            history.keep(decoder, 0, folder)

        def seen(step: int, loss: float) -> None:
            history.keep(decoder, step + 1, folder)
            progress(step, loss)

        fit(model, decoder_loss(model, recipe, seed), recipe, checkpoint=half_way, progress=seen)
        checkpoints.save_decoder(model, folder)
        scores = decoder_report(model.eval())
        history.write(decoder, folder, seed, recipe)
    else:
        model = new_translator(seed)
        fit(model, translator_loss(model, recipe, seed), recipe, checkpoint=half_way, progress=progress)
        checkpoints.save_translator(model, folder)
        scores = translator_report(model.eval())
    half_way.unlink()
    trained = {
        "architecture": asdict(model.shape),
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "seed": seed,
        "recipe": asdict(recipe),
        "scores": scores,
    }
    return cards.write(folder, trained, name)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m attn_core.tiny.train", description=__doc__)
    parser.add_argument("name", choices=("decoder", "translator"))
    parser.add_argument("--seed", type=int, help="default: that of the shipped weights")
    parser.add_argument("--steps", type=int, help="fewer steps, to try things out")
    parser.add_argument("--out", type=Path, help="folder to write; default: build/tiny-NAME-SEED")
    parser.add_argument("--card", action="store_true", help="write the card of the shipped weights, and train nothing")
    asked = parser.parse_args()
    if asked.card:
        cards.renew(asked.out or assets_folder() / "models" / f"tiny-{asked.name}", asked.name)
        return
    torch.set_num_threads(1)  # two threads may add up in another order
    recipe = DECODER if asked.name == "decoder" else TRANSLATOR
    recipe = replace(recipe, steps=asked.steps or recipe.steps)
    began, recent = time.monotonic(), []

    def progress(step: int, loss: float) -> None:
        recent.append(loss)
        if (step + 1) % 100 == 0 or step + 1 == recipe.steps:
            mean = sum(recent) / len(recent)
            took = time.monotonic() - began
            print(f"step {step + 1:5d} of {recipe.steps}   loss {mean:.4f} nats   {took:4.0f} s", flush=True)
            recent.clear()

    seed = SHIPPED[asked.name] if asked.seed is None else asked.seed
    folder = asked.out or Path("build") / f"tiny-{asked.name}-{seed}"
    print(json.dumps(train(asked.name, seed, folder, recipe, progress), indent=1))


if __name__ == "__main__":
    main()
