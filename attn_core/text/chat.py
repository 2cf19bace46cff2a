"""Conversations: the turns that somebody types, and the text that a model's own chat template makes of them.

    tokens = from_messages(tokenizer, [{"role": "user", "content": "a fluffy blue creature"}], limit=512)

What the template writes around the turns (`<|im_start|>user⏎`, a system prompt of its own) is no part of what was said,
so it is special like [CLS]. A template is a program that comes with its model: the library runs it in a sandbox, and
here it is stopped where it takes too long.

A link says the turns without the words of one of them, which are its text, [["system","Be brief."],["user"]],
or nothing where a user says the text, and that is all.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any

from attn_core.errors import EmptyText, HeadlightError
from attn_core.text.tokens import CHARACTERS_PER_TOKEN, Tokens, encode

ROLES = ("system", "user", "assistant")
LONGEST = 2.0  # seconds that a template may take; those of a hundred turns take milliseconds
_TEMPLATE = "<template>"  # what Jinja calls the code that it makes of one

Message = Mapping[str, str]
Turns = tuple[tuple[str, str | None], ...]  # role and words; None: those that a link says as its text
ONE_TURN: Turns = (("user", None),)


def from_messages(tokenizer: Any, messages: Sequence[Message], limit: int) -> Tokens:
    """A conversation, {"role": …, "content": …} a turn, as the tokenizer's chat template writes it, up to where the
    answer begins. What the template adds is special, and no part of a word.

    Raises EmptyText where nobody says anything, and HeadlightError where there is no template, or it refuses these
    messages, and where they are too many or too long to read.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise HeadlightError("This model was not made for chats: its tokenizer has no chat template.")
    turns = _checked(messages, limit)
    text = _rendered(tokenizer, turns)
    said = _said_in(tokenizer, turns, text)
    read = encode(tokenizer, text, limit, frame="typed", said=said)
    spoken = tuple((turn["role"], turn["content"]) for turn in turns)
    return replace(read, from_ids=True, frame="chat", messages=spoken, doubled=_typed_frame(tokenizer, turns, text))


def roles_of(tokenizer: Any) -> tuple[str, ...]:
    """The roles that a tokenizer's chat template takes; () where it has none."""
    if not getattr(tokenizer, "chat_template", None):
        return ()
    ask, answer, rule = ({"role": role, "content": "a"} for role in ("user", "assistant", "system"))
    tried = {"system": [rule, ask], "user": [ask], "assistant": [ask, answer, ask]}
    return tuple(role for role in ROLES if _takes(tokenizer, tried[role]))


def _takes(tokenizer: Any, turns: list[dict[str, str]]) -> bool:
    try:
        return bool(_rendered(tokenizer, turns))
    except HeadlightError:
        return False


def _checked(messages: Sequence[Message], limit: int) -> list[dict[str, str]]:
    """The messages as they are given to a template: role and content alone, and no more than can be read."""
    if len(messages) > limit:
        raise HeadlightError(f"These are too many messages: {limit:,} are read at most, a token each.")
    turns = [dict(turn) for turn in messages]
    if any(not isinstance(turn.get(field), str) for turn in turns for field in ("role", "content")):
        raise HeadlightError('Each message is {"role": …, "content": …}, both texts.')
    if sum(len(turn["role"]) + len(turn["content"]) for turn in turns) > CHARACTERS_PER_TOKEN * limit:
        most = CHARACTERS_PER_TOKEN * limit
        raise HeadlightError(f"These messages are too long: {most:,} characters are read at most.")
    if not any(turn["content"].strip() for turn in turns):
        raise EmptyText("There is no word here yet. Type what somebody says, for example: a fluffy blue creature.")
    return [{"role": turn["role"], "content": turn["content"]} for turn in turns]


# --- What a template writes ----------------------------------------------------------------------------------------


def _rendered(tokenizer: Any, turns: list[dict[str, str]]) -> str:
    """The text that a template makes of turns; HeadlightError where it raises or takes too long."""
    try:
        with _stopped_after(LONGEST):
            return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    except Exception as error:  # a stranger's program: it may raise whatever it likes
        said = " ".join(str(error).split()).rstrip(".!/ ")[:200] or type(error).__name__
        raise HeadlightError(f"The model's chat template refuses these messages: {said}.") from None


@contextmanager
def _stopped_after(seconds: float) -> Iterator[None]:
    """Stop a template that takes longer: its code is Python, and each of its lines is looked at as it is run."""
    end, before = time.monotonic() + seconds, sys.gettrace()

    def look(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != _TEMPLATE:
            return None
        if time.monotonic() > end:
            raise TimeoutError(f"it takes longer than {seconds:g} seconds")
        return look

    sys.settrace(look)
    try:
        yield
    finally:
        sys.settrace(before)


def _said_in(tokenizer: Any, turns: list[dict[str, str]], text: str) -> list[tuple[int, int]]:
    """Where in the text that a template wrote each turn's own words lie: all else is the template's."""
    marks = [f"\ue000{i}\ue001" for i in range(len(turns))]  # letters that no text has
    marked = _rendered(tokenizer, [{**turn, "content": mark} for turn, mark in zip(turns, marks, strict=True)])
    rest, parts = marked, []
    for mark in marks:
        part, _, rest = rest.partition(mark)
        parts.append(part)
    for own in ([turn["content"] for turn in turns], [turn["content"].strip() for turn in turns]):
        if "".join(part + words for part, words in zip(parts, own, strict=True)) + rest == text:
            starts = [len("".join(parts[: i + 1])) + len("".join(own[:i])) for i in range(len(own))]
            return [(start, start + len(words)) for start, words in zip(starts, own, strict=True)]
    return _found_in([turn["content"].strip() for turn in turns], text)  # it writes some words another way


def _found_in(contents: Sequence[str], text: str) -> list[tuple[int, int]]:
    """The same by looking for each turn's words, one turn after the other."""
    found, at = [], 0
    for words in contents:
        start = text.find(words, at)
        if start >= 0:
            at = start + len(words)
            found.append((start, at))
    return found


def _typed_frame(tokenizer: Any, turns: Sequence[Message], text: str) -> tuple[str, ...]:
    """Special tokens that were typed in a turn, and that the template writes around turns by itself."""
    said = [turn["content"] for turn in turns]
    specials = map(str, getattr(tokenizer, "all_special_tokens", ()))
    typed = {token: sum(words.count(token) for words in said) for token in specials}
    return tuple(token for token, n in typed.items() if 0 < n < text.count(token))


# --- Turns in a link -----------------------------------------------------------------------------------------------


def messages_of(turns: Turns, text: str) -> list[dict[str, str]]:
    """The messages of turns as a link says them; a turn without words is left out.

    >>> messages_of((("system", "Be brief."), ("user", None), ("assistant", "")), "Hi")
    [{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': 'Hi'}]
    """
    said = ((role, text if words is None else words) for role, words in turns)
    return [{"role": role, "content": words} for role, words in said if words.strip()]


def turns_of(messages: Sequence[tuple[str, str]]) -> tuple[str, Turns]:
    """What a link says of messages, (role, content) each: its text, which the first user says, and the turns."""
    own = next((i for i, (role, _) in enumerate(messages) if role == "user"), 0)
    return messages[own][1], tuple((role, None if i == own else said) for i, (role, said) in enumerate(messages))


def turns_in_link(turns: Turns) -> str:
    """
    >>> turns_in_link((("system", "Be brief."), ("user", None)))
    '[["system","Be brief."],["user"]]'
    """
    if turns == ONE_TURN:
        return ""
    said = [[role] if words is None else [role, words] for role, words in turns]
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def parse_turns(raw: str, most: int) -> Turns:
    """Turns as a link says them, at most so many; ValueError says what is wrong."""
    if not raw:
        return ONE_TURN
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError('turns are written like [["system","Be brief."],["user"]]') from None
    if not isinstance(said, list) or not 1 <= len(said) <= most:
        raise ValueError(f"there must be from 1 to {most} turns")
    if not all(isinstance(turn, list) and turn and all(isinstance(part, str) for part in turn) for turn in said):
        raise ValueError("each turn is a role and what it says")
    if any(turn[0] not in ROLES or len(turn) > 2 for turn in said) or sum(len(turn) == 1 for turn in said) != 1:
        raise ValueError(f"each turn is one of {', '.join(ROLES)}, and one of them says the text")
    return tuple((turn[0], turn[1] if len(turn) == 2 else None) for turn in said)
