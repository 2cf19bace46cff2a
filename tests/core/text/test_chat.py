"""Conversations as a chat template writes them: what is the template's, what somebody said, and what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import byte_tokenizer, save

import attn_core as ac
from attn_core.__main__ import main
from attn_core.capture.again import trace_again
from attn_core.capture.batches import traces_beside
from attn_core.errors import EmptyText, HeadlightError
from attn_core.models.sources import bundled_folder
from attn_core.text import chat
from attn_core.views import files
from attn_core.views.view import View

CHAT = "{% for m in messages %}<|endoftext|>{{ m.role }}\n{{ m.content }}\n{% endfor %}" + (
    "{% if add_generation_prompt %}<|endoftext|>assistant\n{% endif %}"
)
TURNS = [{"role": "user", "content": "one fox"}, {"role": "assistant", "content": "café"}]
ENDLESS = (
    "{% set r = range(99999) %}{% for i in r %}{% for j in r %}{% endfor %}{% endfor %}"  # loops that call nothing
)


def tokenizer_with(template: str) -> Any:
    own = byte_tokenizer()
    own.chat_template = template
    return own


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ac.Model:
    folder = tmp_path_factory.mktemp("gpt2")
    save("gpt2", folder)
    made = ac.load(folder)
    made.tokenizer.chat_template = CHAT
    return made


def test_a_conversation_is_read_as_the_chat_template_writes_it() -> None:
    own = tokenizer_with(CHAT)
    read = chat.from_messages(own, TURNS, 64)
    judge = own.apply_chat_template(TURNS, add_generation_prompt=True)["input_ids"]
    assert read.ids == judge and not read.dropped and not read.doubled and read.frame == "chat"
    assert eval(f"dict({read.as_python()})") == {"messages": TURNS}, "a line of Python runs these messages"
    assert "one" in read.word_labels and "café" in read.word_labels
    assert chat.from_messages(own, TURNS, 8).dropped == len(judge) - 8
    assert read.said == "user: one fox / assistant: café"


@pytest.mark.parametrize(
    ("template", "content", "said"),
    [
        (CHAT, "user", "user"),  # a turn that says what the template writes beside it
        (CHAT.replace("m.content", "m.content | trim"), " one fox ", "onefox"),
        (CHAT.replace("m.content", "m.content | upper"), "FOX", "FOX"),  # other words than were given
        ("You help.\n" + CHAT, "fox", "fox"),  # a system prompt of the template's own
    ],
)
def test_what_the_template_writes_is_no_part_of_what_was_said(template: str, content: str, said: str) -> None:
    read = chat.from_messages(tokenizer_with(template), [{"role": "user", "content": content}], 64)
    own = [label for label, special in zip(read.labels, read.special, strict=True) if not special]
    assert "".join(own) == said
    assert "<|endoftext|>" in read.labels and "assistant" in "".join(read.labels), "the template's own have names"
    assert [word is None for word in read.words] == read.special
    assert len(read.word_labels) == sum(read.special) + len({word for word in read.words if word is not None})


def test_a_frame_typed_inside_a_turn_is_noticed() -> None:
    own = tokenizer_with(CHAT)
    typed = chat.from_messages(own, [{"role": "user", "content": "one <|endoftext|>user\nfox"}], 64)
    assert typed.doubled == ("<|endoftext|>",) and typed.ids.count(own.eos_token_id) == 3
    own.chat_template = "{{ messages[0].content }}"  # it writes none by itself
    assert not chat.from_messages(own, [{"role": "user", "content": "<|endoftext|> fox"}], 64).doubled


@pytest.mark.parametrize(
    ("template", "messages", "says"),
    [
        (None, TURNS, "no chat template"),
        (CHAT, [{"role": "user"}], "both texts"),
        (CHAT, [{"role": "user", "content": "a" * 2561}], "2,560 characters"),
        (CHAT, [{"role": "user", "content": ""}] * 65, "64 are read at most"),
        (ENDLESS, [{"role": "user", "content": "a" * 2561}], "2,560 characters"),  # before the template reads it
        ("{{ raise_exception('turns must take turns!') }}", TURNS, "refuses these messages: turns must take turns.$"),
        ("{{ messages[0].content + 1 }}", TURNS, "refuses these messages: can only concatenate"),
        ("{{ messages.__class__.__mro__ }}", TURNS, "refuses these messages: .*unsafe"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(template: str | None, messages: list[dict[str, str]], says: str) -> None:
    with pytest.raises(HeadlightError, match=says):
        chat.from_messages(tokenizer_with(template), messages, 64)  # type: ignore[arg-type]
    with pytest.raises(EmptyText):
        chat.from_messages(tokenizer_with(CHAT), [{"role": "user", "content": " "}], 64)


def test_a_template_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "LONGEST", 0.02)
    with pytest.raises(HeadlightError, match="refuses these messages: it takes longer than"):
        chat.from_messages(tokenizer_with(ENDLESS), TURNS, 64)


def test_roles_are_those_that_the_template_takes() -> None:
    assert chat.roles_of(tokenizer_with(CHAT)) == chat.ROLES
    no_rule = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + CHAT
    assert chat.roles_of(tokenizer_with(no_rule)) == ("user", "assistant")
    assert ac.load(bundled_folder()).chat_roles == ()


def test_a_conversation_is_traced_saved_and_run_again(model: ac.Model, tmp_path: Path) -> None:
    found = ac.trace(model, messages=TURNS)
    assert found.tokens.ids == chat.from_messages(model.tokenizer, TURNS, 64).ids and found.check().ok
    found.save(tmp_path / "chat.headlight")
    kept = ac.open_trace(tmp_path / "chat.headlight").tokens
    assert kept == found.tokens and kept.messages == (("user", "one fox"), ("assistant", "café"))
    off = ac.trace(model, messages=TURNS, without=[(1, 1)])
    for again in (
        trace_again(model, found, without=[(1, 1)]),
        *traces_beside(model, None, [(1, 1)], messages=TURNS)[1:],
    ):
        np.testing.assert_allclose(again.final_embedding(), off.final_embedding(), atol=1e-5)
        assert again.tokens == found.tokens, "it is still who said what"
    for given in ({"text": "one fox"}, {"audio": [[0.0]]}, {"inputs": {"input_ids": [1]}}):
        with pytest.raises(ValueError, match="takes? the place of a text"):
            ac.trace(model, messages=TURNS, **given)  # type: ignore[arg-type]


def test_lines_files_and_captions_say_who_said_what(model: ac.Model) -> None:
    view = View(ac.trace(model, messages=TURNS), 1, 1, hide_sink=True)
    assert "as a chat" in view.caption() and "user: one fox / assistant: café" in view.caption()
    assert f", messages={TURNS!r})" in view.as_python()
    link = json.loads(files.json(view))["link"]
    assert link["frame"] == "chat" and link["text"] == "one fox"
    turns = chat.parse_turns(link["turns"], 20)
    assert chat.messages_of(turns, link["text"]) == TURNS
    assert "<|endoftext|>" not in view.sides[0].labels and "user" not in "".join(view.sides[0].labels)
    np.testing.assert_allclose(view.pattern.sum(axis=1), 1, atol=1e-5)


def test_the_command_line_reads_a_sentence_as_a_chat(model: ac.Model, capsys: pytest.CaptureFixture[str]) -> None:
    Path(model.name, "chat_template.jinja").write_text(CHAT)
    assert main(["one fox", "--model", model.name, "--as-chat", "--quiet"]) == 0
    assert "user: one fox" in (said := capsys.readouterr().out) and "as a chat" in said
    for wrong in (["--model", "minilm"], ["--model", model.name, "--as-typed"]):
        with pytest.raises(SystemExit):
            main(["one fox", "--as-chat", "--quiet", *wrong])
        assert "--as-chat" in capsys.readouterr().err


@pytest.mark.parametrize(
    "raw",
    ["[]", "{}", "[[]]", '["user"]', '[["user","a"]]', '[["user"],["user"]]', '[["tool"]]', "[[1]]", "[" * 9999]
    + ['[["user"],["user","a","b"]]', '[["user"],["system","a"],["system","a"],["system","a"]]'],
)
def test_turns_of_a_link_that_cannot_be_right_are_refused(raw: str) -> None:
    with pytest.raises(ValueError, match="turn"):
        chat.parse_turns(raw, 3)


def test_the_text_of_a_link_is_what_the_first_user_says() -> None:
    said = (("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Bye"))
    text, turns = chat.turns_of(said)
    assert text == "Hi" and chat.parse_turns(chat.turns_in_link(turns), 4) == turns
    assert [tuple(turn.values()) for turn in chat.messages_of(turns, text)] == [*said]
    assert chat.turns_in_link(chat.ONE_TURN) == "" and chat.parse_turns("", 4) == chat.ONE_TURN
    assert chat.turns_of((("system", "Be brief."),)) == ("Be brief.", (("system", None),))


def test_words_that_two_turns_say_are_found_one_turn_after_the_other() -> None:
    assert chat._found_in(["Hi", "nothing", "Hi"], "<Hi><Hi>") == [(1, 3), (5, 7)]


def test_a_debugger_looks_on_after_a_template() -> None:
    before, own = sys.gettrace(), lambda *_: None
    sys.settrace(own)
    try:
        with chat._stopped_after(1):
            pass
        found = sys.gettrace()
    finally:
        sys.settrace(before)
    assert found is own
