"""The teacher's kit: every figure is the model's, every link opens what it says, the worksheet has answers."""

import re
from functools import cache
from html import unescape
from urllib.parse import parse_qs

import numpy as np
import pytest
import torch
from page_driver import checked, html, lead, load, open_page, text

import attn_core as ac
from attn_core.figures.paper.slide import PIXELS, as_slide, scale_of
from attn_core.text.numbers import percent
from attn_core.views.recorded import SENTENCE
from ui.sentences import ANNA_GAVE, HUNGRY, KEYS, MOLES, TIRED, TOM_GAVE
from ui.server import loading
from ui.server.handles import ModelHandle
from ui.teachers_kit.views import SAID, VIEWS, WIDE, ReadyView


class Library:
    """A reader without a page."""

    def trace(self, text: str, model: str) -> ac.Trace:
        return ac.trace(load(model), text)

    def model(self, name: str) -> ModelHandle:
        load(name)
        return loading.model(name)


@pytest.fixture(scope="module")
def views() -> list[ReadyView]:
    return [make(Library()) for make in VIEWS]


def test_every_sentence_of_the_file_belongs_to_a_view(views) -> None:
    assert all(set(table) == {view.name for view in views} for table in SAID.entries.values())
    assert not any("{" in said for view in views for said in (view.title, view.says, view.question, view.answer))


@cache
def eager(text: str, name: str = "minilm") -> tuple[list[str], np.ndarray, np.ndarray]:
    """(labels, patterns [layer, head, query, key], states [layer + 1, token, d_model]), by the library alone."""
    model = load(name)
    labels, hf = ac.trace(model, text).tokens, model.hf
    before = hf.config._attn_implementation
    hf.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            out = hf(torch.tensor([labels.ids]), output_attentions=True, output_hidden_states=True)
    finally:
        hf.set_attn_implementation(before)
    return labels.labels, torch.cat(out.attentions).numpy(), torch.cat(out.hidden_states).numpy()


def share(text: str, head: str, query: str, key: str, name: str = "minilm") -> str:
    """What one word gives another, as it is written."""
    labels, patterns, _ = eager(text, name)
    layer, at = map(int, head.split("."))
    return percent(float(patterns[layer, at, labels.index(query), labels.index(key)]))


def moved() -> dict[str, float]:
    """What each head of the decoder moves of the answer, by the library's own modules alone."""
    model = load("tiny-decoder")
    ids = [torch.tensor([ac.trace(model, text).tokens.ids]) for text in (TOM_GAVE, ANNA_GAVE)]
    blocks, given = model.hf.transformer.h, dict[int, torch.Tensor]()
    width = model.hf.config.n_embd // model.hf.config.n_head

    def difference(of: torch.Tensor) -> float:
        with torch.no_grad():
            logits = model.hf(of).logits[0, -1]
        anna, tom = (int(of[0, ac.trace(model, TOM_GAVE).tokens.labels.index(who)]) for who in ("anna", "tom"))
        return float(logits[anna] - logits[tom])

    hooks = [
        block.attn.c_proj.register_forward_pre_hook(lambda _, args, n=n: given.update({n: args[0].clone()}))
        for n, block in enumerate(blocks)
    ]
    d_a = difference(ids[0])
    for hook in hooks:
        hook.remove()
    d_b, effects = difference(ids[1]), {}
    for layer, block in enumerate(blocks):
        for head in range(model.hf.config.n_head):
            own = slice(head * width, (head + 1) * width)

            def put(_: object, args: tuple, own: slice = own, layer: int = layer) -> tuple:
                changed = args[0].clone()
                changed[..., own] = given[layer][..., own]
                return (changed,)

            hook = block.attn.c_proj.register_forward_pre_hook(put)
            effects[f"{layer}.{head}"] = (difference(ids[1]) - d_b) / (d_a - d_b)
            hook.remove()
    return dict(sorted(effects.items(), key=lambda item: -item[1]))


def test_every_sentence_of_every_view_is_what_the_model_itself_gives(views) -> None:
    """Title, sentence, question and answer, whole; the judge is the library's own attention and modules."""
    labels, patterns, _ = eager(SENTENCE)
    row = patterns[0, 3, labels.index("creature")].copy()
    row[[0, labels.index("creature"), -1]] = 0  # neither a special token nor the word itself
    first, second = (labels[i] for i in np.argsort(-row)[:2])
    noun = [f"{word} ({share(SENTENCE, '0.3', 'creature', word)})" for word in (first, second)]
    animal, street = (share(TIRED, "3.1", "it", word) for word in ("animal", "street"))
    wide_animal, wide_street = (share(WIDE, "3.1", "it", word) for word in ("animal", "street"))
    keys, cabinet = (share(KEYS, "3.1", "are", word) for word in ("keys", "cabinet"))
    back = percent(float(np.diagonal(patterns[0, 2], -1).mean()))
    rests = percent(float(patterns[4, 5][1:-1][:, [0, -1]].sum(axis=1).mean()))
    hungry = share(HUNGRY, "1.1", "creature", "hungry", "tiny-decoder")
    ways = [states[:, said.index("mole")].astype(float) for said, _, states in map(eager, MOLES)]
    ways = [way / np.linalg.norm(way, axis=1, keepdims=True) for way in ways]
    pairs = {"animal – chemistry": (0, 1), "animal – skin": (0, 2), "chemistry – skin": (1, 2)}
    cosines = {name: (ways[a] * ways[b]).sum(axis=1) for name, (a, b) in pairs.items()}
    apart = min(cosines, key=lambda name: cosines[name][-1])
    end, start = f"{cosines[apart][-1]:.2f}", f"{min(each[0] for each in cosines.values()):.2f}"
    (best, most), (other, much), (_, rest) = [(head, percent(part)) for head, part in [*moved().items()][:3]]
    expected = {
        "adjectives": (
            "Adjectives update their noun",
            f"To update creature, head 0.3 looks at {noun[0]} and {noun[1]}.",
            "Which two words does creature look at most in head 0.3, apart from itself?",
            f"{noun[0]} and {noun[1]}.",
        ),
        "pronoun": (
            "What does “it” mean?",
            f"In “… because it was tired”, head 3.1 gives {animal} of the weight of “it” to animal and {street} to "
            f"street. Write “wide” instead of “tired”, and animal gets {wide_animal}, street {wide_street}.",
            "Which word does “it” look at in head 3.1? Change “tired” to “wide”: what happens to that word’s share?",
            f"animal, with {animal}. With “wide” it falls to {wide_animal}, and street rises from {street} to "
            f"{wide_street}.",
        ),
        "agreement": (
            "The keys to the cabinet are …",
            f"To update are, head 3.1 gives {keys} of the weight to keys and {cabinet} to cabinet, which stands "
            "nearer.",
            "Which noun does “are” look at in head 3.1: the nearer one, or the one that it agrees with?",
            f"keys ({keys}), the one that it agrees with; cabinet has {cabinet}.",
        ),
        "one_back": (
            "One word back",
            f"In head 0.2 a word gives {back} of its weight to the one before it, on average over this sentence. Try "
            "other words.",
            "What do all the dark cells of head 0.2 have in common? Try another sentence.",
            f"They stand one left of the diagonal: each word looks at the one before it, with {back} of its weight on "
            "average.",
        ),
        "resting": (
            "Nothing to do",
            f"In head 4.5 the words give {rests} of their weight, on average, to [CLS] and [SEP]: a head that has "
            "nothing to add rests there.",
            "Where does most of the weight of head 4.5 go? Why may that be useful?",
            f"To [CLS] and [SEP], {rests} on average. Weights must sum to 100 %, so a head that has nothing to add "
            "needs a place to put them.",
        ),
        "masking": (
            "No peeking at later words",
            "Later words are hidden (hatched). What a creature does depends on its being hungry: head 1.1 gives that "
            f"word {hungry} of the weight.",
            "Why is half of the picture hatched? Which word decides what the creature will do, and does head 1.1 find "
            "it?",
            "A model that guesses the next word must not see it, so later words are hidden. hungry; yes, with "
            f"{hungry}.",
        ),
        "moles": (
            "Three moles",
            f"The three moles begin alike (cosine {start} or more, entering layer 0). At the end {apart} are down to "
            f"{end}.",
            "One word, three meanings: between which two do the arrows end up farthest apart?",
            f"{apart}: cosine {end}, from at least {start} before.",
        ),
        "circuit": (
            "Two heads carry the difference",
            "After “… tom gave a book to” comes anna, after “… anna gave a book to” comes tom. The output of head "
            f"{best}, taken from the first sentence and put into the second, moves {most} of the answer; head {other} "
            f"moves {much}, every other one at most {rest}.",
            f"Which two heads carry the difference between the two sentences? Open head {other}: which earlier head "
            "reaches it, through what?",
            f"{best} ({most}) and {other} ({much}). Head {best} reaches {other} through its value: the later head "
            "looks where it looks anyway, and finds another name there.",
        ),
        "counting": (
            f"{96 * 96 * 4 * 128 * 12_288:,} parameters",
            f"GPT-3 has 175,181,291,520 parameters in this count; 57,982,058,496 of them, "
            f"{100 * 57_982_058_496 / 175_181_291_520:.0f} %, are in attention.",
            "What share of GPT-3’s parameters is in attention: a third, a half, or most of it?",
            "About a third: 57,982,058,496 of 175,181,291,520.",
        ),
    }
    assert {view.name: (view.title, view.says, view.question, view.answer) for view in views} == expected
    assert [view.title for view in views] == [said[0] for said in expected.values()]
    model = load("tiny-decoder")
    for said, comes in ((TOM_GAVE, "anna"), (ANNA_GAVE, "tom")):
        with torch.no_grad():
            logits = model.hf(torch.tensor([ac.trace(model, said).tokens.ids])).logits[0, -1]
        assert ac.trace(model, comes).tokens.ids[-1] == int(logits.argmax())


def test_every_view_has_a_card_with_its_sentence_and_a_link(views) -> None:
    page = open_page("teachers_kit")
    said = text(page)
    assert all(view.title in said and view.says in said for view in views)
    assert said.count("Open this view") == len(views)


@pytest.mark.parametrize("number", range(len(VIEWS)))
def test_a_view_opens_on_what_its_sentence_says(views, number) -> None:
    view = views[number]
    page = open_page(view.page, **view.params)
    if view.page == "all_heads":
        assert f"head {view.params['layer']}.{view.params['head']}" in lead(page)
    elif view.page == "patching":
        share = re.findall(r"\d+ %", view.says)[0]
        moves = f"its output from A, put into B, moves {share} of the answer from tom to anna."
        assert lead(page) == f"Head 0.2 carries most: {moves}"
    else:
        assert re.findall(r"\d\.\d\d|\d+,\d+,\d+", view.says)[-1] in text(page)


def test_the_worksheet_asks_first_and_answers_on_a_page_of_its_own(views) -> None:
    body = html(open_page("teachers_kit", sheet=1))
    asked, told = body.split('<section class="hl-sheet hl-answers">')
    asks, tells = (unescape(re.sub(r"<[^>]*>", "", part)) for part in (asked, told))
    for view in views:
        assert view.question in asks and view.answer not in asks
        assert view.answer in tells
    links = re.findall(r'href="[^"?]*\?([^"]+)"', asked)
    asked_for = [parse_qs(unescape(link)) for link in links[:3]]
    assert [int(each["query"][0]) for each in asked_for] == [view.params["query"] for view in views[:3]]


def test_a_slide_is_sixteen_to_nine_and_keeps_every_word_of_its_headline(views) -> None:
    for view in views:
        figure = view.paper() if view.paper else view.picture(theme="light").figure()
        slide = as_slide(figure, view.says, view.below)
        assert 9 * slide.layout.width == 16 * slide.layout.height  # in whole pixels
        assert scale_of(slide) * slide.layout.width == pytest.approx(PIXELS)
        said = slide.layout.title.text.replace("<br>", " ")
        assert said.split() == [*map(str, view.says.split())]


def test_markup_in_a_headline_stays_text() -> None:
    import plotly.graph_objects as go

    slide = as_slide(go.Figure(), "<b>x</b>", "<i>")
    assert "&lt;b&gt;" in slide.layout.title.text
    assert slide.layout.annotations[-1].text == "&lt;i&gt;"


def test_a_slide_is_drawn_once_after_it_was_asked_for(views) -> None:
    page = open_page("teachers_kit")
    assert [part for part in page.get("bidi_component") if "agreement-slide.png" in str(part.proto)] == []
    page.button(key="slide_agreement").click()
    assert sum("agreement-slide.png" in str(part.proto) for part in checked(page.run()).get("bidi_component")) == 1
    assert not any("-slide.png" in str(part.proto) for part in checked(page.run()).get("bidi_component"))


def test_a_view_follows_the_word_of_its_sentence(views) -> None:
    words = {"pronoun": "it", "agreement": "are"}
    for view in (view for view in views if view.page == "all_heads"):
        labels = Library().trace(view.params["text"], view.params["model"]).tokens.labels
        assert labels[view.params["query"]] == words.get(view.name, "creature"), view.name


def test_the_circuits_figures_are_what_patches_move(views) -> None:
    a, b = (
        "anna and tom went to the market . tom gave a book to",
        "anna and tom went to the market . anna gave a book to",
    )
    effects = ac.patching(load("tiny-decoder"), a, b, ("anna", "tom")).sort_values("effect", ascending=False)
    (view,) = [view for view in views if view.name == "circuit"]
    said = [f"{row.layer}.{row.head}" for row in effects.head(2).itertuples()]
    assert re.findall(r"head (\d\.\d)", view.says) == said
    shares = [f"{100 * effect:.0f} %" for effect in effects.effect[:3]]
    assert re.findall(r"\d+ %", view.says) == shares
    drawn = view.picture(theme="light").figure()
    assert [note.text for note in drawn.layout.annotations].count(shares[0]) == 1
    np.testing.assert_allclose(np.array(drawn.data[0].z).ravel(), effects.sort_index().effect)


def test_a_frame_shows_the_head_alone() -> None:
    page = open_page("teachers_kit")
    page.session_state["frame_agreement"] = True
    (said,) = [block.value for block in checked(page.run()).code]
    assert "embed=true" in said and "card=head" in said and "text=the+keys+to+the+cabinet" in said
