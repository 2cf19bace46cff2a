"""What visitors share: bounded by bytes, computed once, and never left waiting without a word."""

import gc
import itertools
import threading

import pytest

from attn_core.errors import NoNetwork
from ui.server import cache as caches


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> caches.House:
    own = caches.House()
    monkeypatch.setattr(caches, "_house", lambda: own)
    return own


class Result:
    """Stands for a trace or a model: something that is counted by its bytes."""

    name = "a model"
    n_bytes = 40


def lent(name: str = "a model") -> caches.Lent:
    return caches.lend(name, Result)


def test_a_shelf_keeps_what_was_used_last_within_its_bytes() -> None:
    shelf = caches.Shelf(100)
    for name in "abc":
        shelf.put(name, name.upper(), 40)  # the third is one too many
    assert (shelf.get("a"), shelf.get("b"), shelf.get("c")) == (None, "B", "C")
    shelf.get("b")
    shelf.put("d", "D", 40)
    assert (shelf.get("b"), shelf.get("c"), shelf.get("d")) == ("B", None, "D")


def test_what_is_larger_than_the_shelf_is_kept_alone() -> None:
    shelf = caches.Shelf(100)
    shelf.put("a", "A", 10)
    shelf.put("b", "B", 1000)
    assert (shelf.get("a"), shelf.get("b")) == (None, "B")


def test_putting_the_same_key_again_counts_it_once() -> None:
    shelf = caches.Shelf(100)
    for _ in range(5):
        shelf.put("a", "A", 60)
    shelf.put("b", "B", 40)
    assert len(shelf) == 2


def test_a_sentence_is_run_once_and_other_options_are_another_run(
    house: caches.House, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[tuple[object, ...]] = []

    def run(loaded: object, text: object, options: dict[str, object]) -> Result:
        runs.append((text, *options))
        return Result()

    monkeypatch.setattr(caches, "_run", run)
    loaded = lent()
    first = caches.trace(loaded, "hello")
    assert caches.trace(loaded, "hello").real() is first.real()
    assert caches.trace(loaded, "hello", without=[(0, 1)]) != first
    assert caches.trace(loaded, [1, 2]) == caches.trace(loaded, [1, 2]) != caches.trace(loaded, [1, 3])
    assert caches.trace(lent("another"), "hello") != first
    assert len(runs) == 5


def test_something_beside_a_trace_belongs_to_that_trace_alone(house: caches.House) -> None:
    a, b = lent("a"), lent("b")
    assert caches.beside(a, "what", lambda: "a's") == "a's"
    assert caches.beside(b, "what", lambda: "b's") == "b's"
    assert caches.beside(a, "what", lambda: "never computed") == "a's"


def test_what_a_session_remembers_keeps_nothing_alive_and_comes_back_when_it_is_read(house: caches.House) -> None:
    house.traces.budget = 100
    remembered = [caches.lend(i, Result) for i in range(10)]  # as callbacks of ten views that are long past
    gc.collect()
    assert sum(type(thing) is Result for thing in gc.get_objects()) == len(house.traces) == 2
    assert remembered[0].n_bytes == 40 and house.traces.get(0) is remembered[0].real()


def test_a_page_keeps_what_it_has_borrowed_until_the_next_one_begins(house: caches.House) -> None:
    house.traces.budget = 1
    counted = itertools.count()

    class Costly(Result):
        def __init__(self) -> None:
            self.turn = next(counted)

    def visit() -> None:
        caches.begin_page()
        first, second = caches.lend("first", Costly), caches.lend("second", Costly)
        turns.append((first.turn, second.turn, first.turn))

    turns: list[tuple[int, ...]] = []
    for _ in range(2):
        thread = threading.Thread(target=visit)
        thread.start()
        thread.join(30)
    assert turns == [(0, 1, 0), (2, 3, 2)]


def test_a_full_queue_ends_in_a_clear_word_and_frees_its_place(
    house: caches.House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house, "longest_wait", 0.01)
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with caches._my_turn("model"):
            inside.set()
            leave.wait(30)

    thread = threading.Thread(target=stay)
    thread.start()
    assert inside.wait(30)
    with pytest.raises(caches.Busy, match="try again"), caches._my_turn("model"):
        pass
    leave.set()
    thread.join(30)
    with caches._my_turn("model"):
        pass


def test_a_model_is_loaded_once_for_everybody_and_tells_how_far_it_is(
    house: caches.House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attn_core.models import loading as models

    go_on, calls = threading.Event(), []

    def load(name: str, progress: object) -> Result:
        calls.append(name)
        progress("half of it is here", 0.5)  # type: ignore[operator]
        go_on.wait(30)
        return Result()

    monkeypatch.setattr(models, "load", load)
    jobs = [caches.open_model("big") for _ in range(5)]
    assert all(job is jobs[0] for job in jobs) and caches.model("big") is None
    go_on.set()
    assert jobs[0].done.wait(30) and jobs[0].error is None
    assert (jobs[0].message, jobs[0].fraction) == ("half of it is here", 0.5)
    assert isinstance(caches.model("big").real(), Result)
    assert caches.open_model("big") is jobs[0] and calls == ["big"]


def test_a_model_that_failed_says_why_and_can_be_tried_again(
    house: caches.House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attn_core.models import loading as models

    errors = [NoNetwork("the cable is out"), OSError("a path that nobody should see"), None]

    def load(name: str, progress: object) -> Result:
        error = errors.pop(0)
        if error is not None:
            raise error
        return Result()

    monkeypatch.setattr(models, "load", load)
    said = []
    for _ in range(3):
        job = caches.open_model("far")
        assert job.done.wait(30)
        said.append(str(job.error))
    assert said[0] == "the cable is out"
    assert "nobody should see" not in said[1]
    assert said[2] == "None" and caches.model("far") is not None


def test_a_queue_that_is_full_turns_people_away_at_once(house: caches.House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house, "queue", threading.BoundedSemaphore(1))
    monkeypatch.setattr(house, "longest_wait", 3600)
    with caches._my_turn("model"), pytest.raises(caches.Busy, match="try again"), caches._my_turn("another"):
        pass
    with caches._my_turn("another"):
        pass


def test_a_pass_is_logged_with_its_times_and_without_its_text(
    house: caches.House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import attn_core as ac

    monkeypatch.setattr(ac, "trace", lambda *a, **k: Result())
    with caplog.at_level("INFO", logger="headlight"):
        caches.trace(lent(), "a secret sentence")
    (record,) = [r for r in caplog.records if r.getMessage() == "forward pass"]
    assert set(record.numbers) == {"model", "waited_s", "pass_s", "traces_kept", "bytes"}  # type: ignore[attr-defined]
    assert "secret" not in str(record.__dict__)
