"""The table of parameters as boxes in boxes: each is the sum of those inside."""

from __future__ import annotations

import pytest

from attn_core.parameters.count import count_parameters
from attn_core.parameters.tree import shares, tree


@pytest.mark.parametrize("lesson", [True, False])
@pytest.mark.parametrize("name", ["gpt-3", "minilm", "t5-small", "llama-2-70b", "bloom-176b"])
def test_boxes_are_the_table(name: str, lesson: bool) -> None:
    table = count_parameters(name)
    nodes = tree(table, lesson=lesson, inside="block 1")
    assert nodes[0].count == (table.lesson_total if lesson else table.total)
    held = [0] * len(nodes)
    for node in nodes[1:]:
        held[node.parent] += node.count
        assert nodes[node.parent].path == node.path[:-1]
    assert all(inside in (0, node.count) for node, inside in zip(nodes, held, strict=True))
    assert len({node.path for node in nodes}) == len(nodes)
    assert sum(shares(table, lesson=lesson).values()) == nodes[0].count


def _boxes(name: str, inside: str) -> dict[str, int]:
    return {"/".join(node.path): node.count for node in tree(count_parameters(name), lesson=True, inside=inside)}


def test_a_block_opens_into_its_heads() -> None:
    nodes = {
        "/".join(node.path): node.count for node in tree(count_parameters("gpt-3"), lesson=True, inside="block 57")
    }
    heads = [path for path in nodes if "/head " in path and path.count("/") == 2]
    assert len(heads) == 96 and all(path.startswith("block 57/self-attention/") for path in heads)
    assert {nodes[path] for path in heads} == {6_291_456}
    assert nodes["block 57/self-attention/head 40/value (down)"] == 12_288 * 128
    assert nodes["block 57/self-attention"] == nodes["block 3/self-attention"] == 603_979_776
    shared = {
        "/".join(node.path): node.count for node in tree(count_parameters("llama-3-8b"), lesson=True, inside="block 0")
    }
    assert shared["block 0/self-attention/head 31"] == 2 * 4096 * 128  # query and output
    assert shared["block 0/self-attention/keys and values of group 7"] == 2 * 4096 * 128
