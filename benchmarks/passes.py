"""What tracing costs: time beside a bare forward pass, and bytes kept.

Four ways on the same weights: the library's fused pass alone; ours, which keeps what explains it; the usual eager pass
with `output_attentions`; and what BertViz does with that before it draws (stack the weights, turn them into lists).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import attn_core as ac
from attn_core.capture.running import use_ours_always
from benchmarks.tables import by_turns, by_turns_cpu, ratio, report

LENGTHS = (16, 128, 512)
PAIRS = 200  # of a traced and a bare pass, by turns


def gpt2_small(attention: str) -> Any:
    """A random model of GPT-2 small's shape, without its vocabulary's matrix, which no way here uses."""
    from transformers import GPT2Config, GPT2Model

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=1000)
    config._attn_implementation = attention
    return GPT2Model(config).eval()


def bundled(attention: str) -> Any:
    from transformers import AutoModel

    from attn_core.models.sources import bundled_folder

    return AutoModel.from_pretrained(bundled_folder(), attn_implementation=attention).eval()


class IdsOnly:
    """Stands in for a tokenizer: these texts are ids already."""

    model_max_length = 1024
    is_fast = True
    all_special_ids: tuple[int, ...] = ()
    unk_token_id = mask_token_id = bos_token_id = eos_token_id = cls_token_id = sep_token_id = None
    backend_tokenizer = None

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [str(i) for i in ids]


def passes(name: str, build: Callable[[str], Any], tokenizer: Any, rounds: int) -> list[dict[str, object]]:
    bare, eager, own = build("sdpa"), build("eager"), build("eager")
    use_ours_always(own)
    model = ac.wrap(own, tokenizer, name=name)
    rows: list[dict[str, object]] = []
    for length in LENGTHS:
        ids = torch.randint(10, 990, (1, length))
        mask = torch.ones_like(ids)

        def fused(ids: Any = ids, mask: Any = mask) -> Any:
            with torch.inference_mode():
                return bare(input_ids=ids, attention_mask=mask, use_cache=False)

        def weights(ids: Any = ids, mask: Any = mask) -> Any:
            with torch.inference_mode():
                return eager(input_ids=ids, attention_mask=mask, use_cache=False, output_attentions=True).attentions

        def lists(weights: Any = weights) -> Any:
            return torch.stack([layer.squeeze(0) for layer in weights()]).tolist()

        def traced(ids: Any = ids) -> ac.Trace:
            return ac.trace(model, ids[0].tolist())

        ways = {"fused": fused, "traced": traced, "eager": weights, "bertviz": lists}
        seconds = by_turns(ways, max(5, rounds * 16 // length))
        cpu = by_turns_cpu({"fused": fused, "fused again": fused, "traced": traced}, PAIRS)
        kept, patterns = traced().n_bytes, sum(w.numel() * 4 for w in weights())
        rows.append(
            {
                "model": name,
                "tokens": length,
                "traced ÷ bare": round(cpu["traced"] / cpu["fused"], 3),
                "bare ÷ bare": round(cpu["fused again"] / cpu["fused"], 3),
                "eager + output_attentions ÷ bare": ratio(seconds, "eager", "fused"),
                "BertViz's data path ÷ bare": ratio(seconds, "bertviz", "fused"),
                "bytes kept": kept,
                "bytes of all patterns": patterns,
            }
        )
    return rows


def main() -> None:
    torch.set_num_threads(1)
    from transformers import AutoTokenizer

    from attn_core.models.sources import bundled_folder

    tokenizer = AutoTokenizer.from_pretrained(bundled_folder())
    rows = passes("MiniLM (bundled)", bundled, tokenizer, rounds=60)
    rows += passes("GPT-2 small's shape, random", gpt2_small, IdsOnly(), rounds=30)
    report(
        "passes",
        "Tracing beside a bare forward pass",
        rows,
        [
            f"Traced and bare: CPU time, one thread, medians of {PAIRS} passes each, by turns, ids given.",
            "Bare ÷ bare is the same pass against itself: how much of a quotient is noise.",
            "The aim for traced ÷ bare is 1.05 at 16 tokens, 1.03 from 128.",
            "The others: medians of quotients within a round.",
            "Bytes kept: unique storages of a trace (q, k, v, the attention function's output, the taps).",
        ],
    )


if __name__ == "__main__":
    main()
