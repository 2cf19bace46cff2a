"""The sentence read as a chat: roles as chips, several turns, in the link; what is typed is never lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import save
from page_driver import checked, load, notes, open_page, packets, text
from streamlit.testing.v1 import AppTest

import attn_core as ac
from attn_core.text.chat import ROLES, turns_in_link

CHAT = "{% if messages[0].role == 'assistant' %}{{ raise_exception('A user begins!') }}{% endif %}" + (
    "{% for m in messages %}<|endoftext|>{{ m.role }}\n{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|endoftext|>assistant\n{% endif %}"
)
TEXT = "one <b>fox</b>"
TURNS = (("system", "Be brief."), ("user", None), ("assistant", "café"))
SAID = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": TEXT},
    {"role": "assistant", "content": "café"},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small model with a chat template in its folder."""
    made = tmp_path_factory.mktemp("models") / "chatty"
    save("gpt2", made)
    Path(made, "chat_template.jinja").write_text(CHAT)
    return str(made)


@pytest.fixture(scope="module")
def conversation(folder: str) -> ac.Trace:
    return ac.trace(load(folder), messages=SAID)


def opened(folder: str, page: str = "all_heads", **params: object) -> AppTest:
    return open_page(page, model=folder, text=TEXT, layer=1, head=1, **params)


def chips(page: AppTest) -> list[str]:
    """The role of every turn."""
    found = {each.key: each.value for each in page.get("button_group") if (each.key or "").startswith("turn_role_")}
    return [found[f"turn_role_{i}"] for i in range(len(found))]


def button_group(page: AppTest, key: str) -> Any:
    (found,) = [each for each in page.get("button_group") if each.key == key]
    return found


@pytest.mark.parametrize("page", ["all_heads", "delta_e", "step_by_step", "why_there", "find_heads"])
def test_a_link_opens_a_chat_wherever_the_frame_can_be_chosen(folder: str, conversation: ac.Trace, page: str) -> None:
    shown = opened(folder, page, frame="chat", turns=turns_in_link(TURNS))
    n = len(conversation.tokens)
    assert f"{n} of 64 tokens, as a chat, {sum(conversation.tokens.special)} of its template" in text(shown)
    assert chips(shown) == ["system", "user", "assistant"] and shown.text_area(key="text").value == TEXT
    assert shown.text_area(key="turn_text_0").value == "Be brief."


def test_the_map_names_the_templates_tokens_and_hides_them_as_specials(folder: str, conversation: ac.Trace) -> None:
    shown = opened(folder, frame="chat", turns=turns_in_link(TURNS))
    header, cells = packets(shown)["heatmap"]
    np.testing.assert_allclose(np.nan_to_num(cells), conversation.pattern(1, 1), atol=1e-6)
    assert "<|endoftext|>" in header["rows"]["texts"]
    hidden = packets(opened(folder, frame="chat", turns=turns_in_link(TURNS), specials="hide", unit="words"))[
        "heatmap"
    ][0]
    assert "".join(hidden["rows"]["texts"]) == "".join(f"Be brief.{TEXT}café".split())


def test_turns_are_added_changed_removed_and_brought_back(folder: str) -> None:
    page = opened(folder)
    checked(button_group(page, "frame").set_value("chat").run())
    assert chips(page) == ["user"] and page.text_area(key="text").value == TEXT
    assert "turn_gone_0" not in [button.key for button in page.button], "the sentence stays"
    checked(page.button(key="turn_add").click().run())
    assert chips(page) == ["user", "assistant"]
    one = ac.trace(load(folder), messages=[{"role": "user", "content": TEXT}])
    assert f"{len(one.tokens)} of 64 tokens" in text(page), "a turn without words is not read"
    checked(page.text_area(key="turn_text_1").set_value("café").run())
    assert page.query_params["turns"] in ('[["user"],["assistant","café"]]', ['[["user"],["assistant","café"]]'])
    checked(button_group(page, "turn_role_1").set_value("system").run())
    assert chips(page) == ["user", "system"]
    checked(page.button(key="turn_gone_1").click().run())
    assert chips(page) == ["user"]
    for expected in (["user", "system"], ["user", "assistant"]):
        checked(page.button(key="turn_undo").click().run())
        assert chips(page) == expected and page.text_area(key="turn_text_1").value == "café"


def test_between_typed_and_chat_nothing_is_lost(folder: str, conversation: ac.Trace) -> None:
    page = opened(folder, frame="chat", turns=turns_in_link(TURNS))
    checked(page.text_area(key="text").set_value("two foxes").run())
    checked(button_group(page, "frame").set_value("own").run())
    assert page.text_area(key="text").value == "two foxes" and not chips(page)
    assert "as a chat" not in text(page)
    checked(button_group(page, "frame").set_value("chat").run())
    assert chips(page) == ["system", "user", "assistant"] and page.text_area(key="text").value == "two foxes"
    checked(page.button(key="turn_undo").click().run())
    assert page.text_area(key="text").value == TEXT
    assert f"{len(conversation.tokens)} of 64 tokens" in text(page)


def test_what_a_template_refuses_is_one_sentence_and_the_turns_stay(folder: str) -> None:
    page = opened(folder, frame="chat", turns='[["assistant"]]')
    assert "The model's chat template refuses these messages: A user begins." in text(page)
    checked(button_group(page, "turn_role_0").set_value("user").run())
    assert "refuses" not in text(page) and "as a chat" in text(page)


def test_a_frame_typed_in_a_turn_is_remarked(folder: str) -> None:
    page = open_page("all_heads", model=folder, text="one <|endoftext|> fox", frame="chat")
    assert "<|endoftext|> was typed in a turn, and the model’s template puts it around every turn" in notes(page)


def test_a_model_without_a_template_reads_the_sentence_alone() -> None:
    load("tiny-decoder")
    page = open_page("all_heads", model="tiny-decoder", text="a hungry creature", frame="chat")
    assert "has no chat template" in text(page) and not chips(page)
    assert "as a chat" not in [option for each in page.get("button_group") for option in each.options]
    again = opened_without_template = open_page("all_heads", text="fox", frame="chat", turns='[["user"]]')
    assert again is opened_without_template and "as a chat" not in text(again)


def test_forged_roles_are_no_roles(folder: str) -> None:
    page = opened(folder, frame="chat")
    assert set(button_group(page, "turn_role_0").options) == set(ROLES)
    shown = opened(folder, frame="chat", turns='[["tool"]]')
    assert chips(shown) == ["user"] and "turns" in text(shown)


def test_lines_of_python_and_captions_say_the_messages(folder: str) -> None:
    page = opened(folder, frame="chat", turns=turns_in_link(TURNS), menus=True)
    assert any(f"messages={SAID!r}" in block.value for block in page.code)
    assert any("turns=%5B%5B" in block.value and "frame=chat" in block.value for block in page.code)
