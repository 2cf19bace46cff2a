"""A study against plain means over `collect`, its weights, its shards, its groups, and what can go wrong."""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import attn_core as ac
from attn_core.errors import Cancelled
from attn_core.heads.kinds import COLUMNS
from attn_core.study import StudyResult, bootstrap, merge, open_study
from attn_core.study import batches as study_batches
from attn_core.study.batches import BATCH, WINDOW, Shard, batches
from attn_core.study.measures import MEASURES
from attn_core.study.run import Plan, as_sentences, iter_study, read_batch, run_study
from attn_core.study.sums import Extremes, Sums

WORDS = ["the", "blue", "red", "old", "creature", "tower", "forest", "ate", "slept", "saw", "found", "a", "and"]
KEY = ["stream", "layer", "head", "measure"]
SAME = {"rtol": 0, "atol": 1e-6}


def some_texts(n: int, seed: int = 0) -> list[str]:
    chosen = random.Random(seed)
    return [" ".join(chosen.choices(WORDS, k=chosen.randint(2, 12))) for _ in range(n)]


TEXTS = some_texts(50)


@pytest.fixture(scope="module")
def model() -> ac.Model:
    return ac.load("tiny-decoder")


@pytest.fixture(scope="module")
def whole(model: ac.Model) -> StudyResult:
    return ac.run_study(model, TEXTS, groups=["a" if i % 2 else "b" for i in range(50)])


@pytest.fixture(scope="module")
def collected(model: ac.Model) -> pd.DataFrame:
    """Every value of every sentence, [sentence] by number, by the road that was there before."""
    table = ac.collect((ac.trace(model, text) for text in TEXTS), list(MEASURES))
    return table.pivot_table("value", "sentence", KEY, dropna=False)


# --- The numbers ------------------------------------------------------------------------------------------------------


def test_the_table_has_the_mean_of_every_measure_of_find_heads_and_the_share_of_delta_e(
    whole: StudyResult, collected: pd.DataFrame
) -> None:
    frame = whole.frame()
    assert list(frame) == [*KEY, "n", "mean", "low", "high"]
    assert set(frame.measure) == {*COLUMNS, "delta_share"} and len(frame) == 2 * 4 * len(MEASURES)
    assert whole.complete and (whole.n, whole.unread, whole.cut) == (50, 0, 0)
    for row in frame.itertuples():
        column = (row.stream, row.layer, row.head, row.measure)
        values = collected[column].dropna() if column in collected else pd.Series(dtype=float)
        assert row.n == len(values)
        if row.n:
            assert row.mean == pytest.approx(values.mean(), abs=1e-6)
    shares = frame[frame.measure == "delta_share"].groupby("layer")["mean"].sum()
    np.testing.assert_allclose(shares, 1, atol=1e-6)


def test_the_interval_is_that_of_the_sentences_drawn_by_their_weights(
    whole: StudyResult, collected: pd.DataFrame
) -> None:
    """By hand: in every replicate the weighted mean of the values, and of those means the middle 95 %."""
    weights = bootstrap.weights(0, range(50), bootstrap.REPLICATES)  # [sentence, replicate]
    frame = whole.frame().set_index(KEY)
    for column in [("self", 0, 1, "entropy"), ("self", 1, 3, "duplicate")]:
        values = collected[column].to_numpy()
        there = ~np.isnan(values)
        means = weights[there].T @ values[there] / weights[there].sum(axis=0)
        row = frame.loc[column]
        assert row.n == there.sum() >= 20
        np.testing.assert_allclose([row.low, row.high], np.quantile(means, [0.025, 0.975]), **SAME)
        spread = values[there].std(ddof=1) / np.sqrt(row.n)
        assert (row.high - row.low) / 2 == pytest.approx(1.96 * spread, rel=0.25)


def test_weights_are_poisson_and_follow_from_seed_row_and_replicate() -> None:
    weights = bootstrap.weights(7, range(2000), 100)
    counts = np.bincount(weights.astype(int).ravel(), minlength=5)[:5] / weights.size
    np.testing.assert_allclose(counts, stats.poisson.pmf(range(5), 1), atol=0.003)
    np.testing.assert_array_equal(bootstrap.weights(7, [1999, 3], 100), weights[[1999, 3]])
    assert not np.array_equal(bootstrap.weights(8, [3], 100), weights[[3]])
    assert abs(np.corrcoef(weights[0], weights[1])[0, 1]) < 0.4
    np.testing.assert_array_equal(bootstrap.weights(7, [5], 40), weights[[5], :40])
    assert bootstrap.weights(0, [0], 12).tolist() == [[0, 0, 0, 1, 1, 0, 3, 4, 0, 0, 1, 0]]  # the same on any machine


def test_below_twenty_sentences_there_is_no_interval_but_every_value(model: ac.Model, collected: pd.DataFrame) -> None:
    few = ac.run_study(model, TEXTS[:19], measures=["entropy"])
    assert few.frame().n.eq(19).all() and few.frame()[["low", "high"]].isna().all().all()
    values = few.values(1, 2, "entropy")
    assert sorted(values.row) == list(range(19)) and values.value.is_monotonic_decreasing
    np.testing.assert_allclose(values.value, collected["self", 1, 2, "entropy"][values.row], **SAME)
    assert [TEXTS[row] for row in values.row] == list(values.text)
    assert ac.run_study(model, TEXTS[:20], measures=["entropy"]).frame()[["low", "high"]].notna().all().all()


def test_the_sentences_where_a_head_does_it_most_and_least(whole: StudyResult, collected: pd.DataFrame) -> None:
    column = collected["self", 1, 0, "sink"].sort_values()
    found = whole.values(1, 0, "sink")
    assert len(found) == 20
    assert found.row[:10].tolist() == column.index[::-1][:10].tolist()
    assert found.row[10:].tolist() == column.index[:10][::-1].tolist()


def test_empty_replicates_are_left_out_and_counted() -> None:
    rows, values = np.arange(25), np.arange(25, dtype=float)[:, None]
    weights = bootstrap.weights(0, rows.tolist(), 50)
    weights[:, [3, 4]] = 0  # two replicates that drew no sentence
    sums = Sums.of(values, rows, weights)
    means = bootstrap.replicate_means(sums.weighted, sums.drawn)
    assert np.isnan(means[[3, 4]]).all() and np.isnan(means).sum() == 2
    low, high = bootstrap.interval(means)
    np.testing.assert_allclose([low[0], high[0]], np.quantile(np.delete(means, [3, 4]), [0.025, 0.975]))
    about = whole_about(25, 50)
    result = StudyResult(about, (0,), {"": sums}, {}, np.zeros(25, np.int64))
    assert result.frame().attrs == {"empty_replicates": 2}


def whole_about(n: int, replicates: int):  # type: ignore[no-untyped-def]
    from attn_core.study.result import About
    from attn_core.study.sums import Layout

    return About("m", "", "", n, 1, Layout((("self", 1, 1),), ("entropy",)), (), 0, replicates)


def test_duplicates_are_counted_and_cut_sentences_and_rows_that_hold_none(model: ac.Model) -> None:
    small = model.with_limit(6)
    with pytest.warns(ac.TextWasCut):
        result = run_study(
            small, ["the creature", "", "the creature", " ", "the blue tower saw the old red creature", "a"]
        )
    assert (result.n, result.unread, result.duplicates, result.cut) == (4, 2, 1, 1)


# --- Groups -----------------------------------------------------------------------------------------------------------


def test_two_groups_are_compared_as_scipy_compares_their_values(whole: StudyResult, collected: pd.DataFrame) -> None:
    table = whole.compare("a", "b")
    for measure, own in table.groupby("measure"):
        if own.p.notna().any():
            known = own.p.notna()
            np.testing.assert_allclose(own.q[known], stats.false_discovery_control(own.p[known]), rtol=1e-12)
        assert (own.q.dropna() >= own.p.dropna()).all(), measure
    for row in table[table.measure.isin(["entropy", "delta_share"])].itertuples():
        values = collected[row.stream, row.layer, row.head, row.measure]
        a, b = values[1::2], values[::2]
        assert (row.n_first, row.n_second) == (25, 25)
        assert row.difference == pytest.approx(a.mean() - b.mean(), abs=1e-6)
        expected = stats.ttest_ind(a, b, equal_var=False).pvalue
        assert row.p == pytest.approx(expected, rel=1e-3, abs=1e-6)
        assert row.low < row.difference < row.high
    np.testing.assert_allclose(whole.frame("a").n + whole.frame("b").n, whole.frame().n)


def test_groups_of_equal_sentences_do_not_differ(model: ac.Model) -> None:
    result = run_study(model, [*TEXTS[:25], *TEXTS[:25]], groups=["a"] * 25 + ["b"] * 25, measures=["entropy"])
    table = result.compare("a", "b")
    assert (table.p > 0.99).all() and (table.low < 0).all() and (table.high > 0).all()
    assert result.duplicates == 25 + 25 - len({*TEXTS[:25]})
    with pytest.raises(KeyError, match="c"):
        result.compare("a", "c")


# --- Shards -----------------------------------------------------------------------------------------------------------


def test_shards_give_the_same_bytes_in_whatever_order_they_come(model: ac.Model, tmp_path: Path) -> None:
    paths = []
    for number in range(4):
        paths.append(tmp_path / f"part-{number}.parquet")
        run_study(model, TEXTS, shard=(number, 4), path=paths[-1])
    in_order = merge(run_study(model, TEXTS, shard=(number, 4)) for number in range(4))  # one machine, no files
    expected = in_order.frame().to_csv(index=False)
    for seed in range(4):
        shuffled = random.Random(seed).sample(paths, 4)
        merged = merge(shuffled)
        assert merged.frame().to_csv(index=False) == expected
        assert merged.values(0, 0, "sink").equals(in_order.values(0, 0, "sink"))
    assert merged.complete and merged.n == 50 and merged.shards == (0, 1, 2, 3)
    assert merged.save(tmp_path / "all.parquet").exists()
    assert open_study(tmp_path / "all.parquet").frame().to_csv(index=False) == expected


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(21, 60), parts=st.integers(2, 7))
def test_every_partition_agrees(seed: int, n: int, parts: int) -> None:
    model, texts = ac.load("tiny-decoder"), some_texts(n, seed)
    what = ["entropy", "previous", "duplicate", "delta_share"]
    one = run_study(model, texts, measures=what)
    many = merge([run_study(model, texts, measures=what, shard=(k, parts)) for k in reversed(range(parts))])
    pd.testing.assert_frame_equal(one.frame(), many.frame(), check_exact=False, **SAME)
    assert (one.n, one.duplicates, one.unread) == (many.n, many.duplicates, many.unread)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=40), st.randoms())
def test_sums_add_up_in_any_order(found: list[tuple[int, bool]], chosen: random.Random) -> None:
    """Values that floats hold exactly, so that every order must give the same bytes; many are equal, some missing."""
    values = np.array([[value if there else np.nan] for value, there in found], dtype=float)
    rows = np.arange(len(found))
    weights = bootstrap.weights(0, rows.tolist(), 5)
    cuts = sorted(chosen.choices(range(1, len(found) + 1), k=3))
    parts = [s for s in np.split(rows, cuts) if len(s)]
    chosen.shuffle(parts)
    total = None
    for part in parts:
        own = Sums.of(values[part], part, weights[part])
        total = own if total is None else total + own
    expected = Sums.of(values, rows, weights)
    for name in ("n", "total", "squares", "drawn", "weighted"):
        np.testing.assert_array_equal(getattr(total, name), getattr(expected, name))
    for end in ("most", "least"):
        kept: Extremes = getattr(expected, end)
        n = len(kept.rows)
        np.testing.assert_array_equal(getattr(total, end).rows[:n], kept.rows)
        np.testing.assert_array_equal(getattr(total, end).values[:n], kept.values)


def test_what_cannot_be_merged_is_said(model: ac.Model, tmp_path: Path) -> None:
    two = [run_study(model, TEXTS[:8], shard=(k, 2)) for k in range(2)]
    with pytest.raises(ValueError, match="a shard is there twice"):
        merge([two[0], two[0]])
    with pytest.raises(ValueError, match="shards of different studies: input differ"):
        merge([two[0], run_study(model, TEXTS[1:9], shard=(1, 2))])
    with pytest.raises(ValueError, match="nothing to merge"):
        merge([])
    with pytest.raises(ac.HeadlightError, match="There is no file"):
        merge([tmp_path / "missing.parquet"])
    (tmp_path / "x.parquet").write_text("no table")
    with pytest.raises(ac.HeadlightError, match="is no study"):
        merge([tmp_path / "x.parquet"])
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(ac.HeadlightError, match="is no study"):
        open_study(tmp_path / "other.parquet")


# --- Streaming --------------------------------------------------------------------------------------------------------


def test_batches_hold_each_row_once_in_similar_length_and_follow_from_the_input(
    model: ac.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentences = as_sentences([*some_texts(WINDOW + 40, 1), "", *some_texts(30, 2)])
    found = list(batches(model, sentences, Shard(0, 1)))
    rows = [row for batch in found for row in batch.rows]
    assert sorted(rows) == [i for i, own in enumerate(sentences) if own.text]
    assert found == list(batches(model, sentences, Shard(0, 1)))
    assert found[-1].reached == len(sentences) and sum(batch.unread for batch in found) == 1
    assert all(len(batch.rows) <= BATCH for batch in found)
    firsts = [batch for batch in found if max(batch.rows) < WINDOW]
    assert sum(len(batch.rows) for batch in firsts) == WINDOW  # a study that is stopped has read its beginning
    monkeypatch.setattr(study_batches, "BATCH_TOKENS", 100)
    long = as_sentences(["the creature " * 10] * 9)
    assert [len(batch.rows) for batch in batches(model, long, Shard(0, 1))] == [4, 4, 1]  # of 21 tokens


def test_traces_are_let_go_batch_by_batch(model: ac.Model) -> None:
    alive: list[weakref.ref[ac.Trace]] = []
    most = 0

    def watched(own: ac.Model, texts: Sequence[str]) -> Iterator[ac.Trace]:
        nonlocal most
        gc.collect()
        most = max(most, sum(each() is not None for each in alive))
        for trace in read_batch(own, texts):
            alive.append(weakref.ref(trace))
            yield trace
            del trace

    texts = some_texts(150, 3)
    sizes = {
        result.n_bytes // 100_000 for result in iter_study(model, as_sentences(texts), Plan(("entropy",)), run=watched)
    }
    assert len(alive) == 150 and most <= 1
    assert len(sizes) == 1  # what is kept does not grow


def test_a_study_that_is_stopped_keeps_what_is_done_and_goes_on_from_its_file(model: ac.Model, tmp_path: Path) -> None:
    texts, path, told = some_texts(300, 4), tmp_path / "study.parquet", []

    def stop_soon(done: int, rows: int) -> None:
        told.append((done, rows))
        if done > 100:
            raise Cancelled("enough")

    part = run_study(model, texts, measures=["entropy", "sink"], path=path, progress=stop_soon)
    assert not part.complete and 100 < part.n < 300 and told[-1] == (part.reached, 300)
    assert part.frame().n.eq(part.n).all() and open_study(path).n == part.n
    with pytest.raises(ValueError, match="was stopped before its end"):
        merge([path])
    read: list[str] = []

    def counted(own: ac.Model, own_texts: Sequence[str]) -> Iterator[ac.Trace]:
        read.extend(own_texts)
        return read_batch(own, own_texts)

    plan = Plan(("entropy", "sink"))
    *_, last = iter_study(model, as_sentences(texts), plan, open_study(path), counted)
    assert last.complete and len(read) == 300 - part.n
    expected = run_study(model, texts, measures=["entropy", "sink"])
    assert last.frame().equals(expected.frame())
    again = run_study(model, texts, measures=["entropy", "sink"], path=path)
    assert again.frame().equals(expected.frame()) and again.complete
    with pytest.raises(ValueError, match="holds another study"):
        run_study(model, texts[1:], measures=["entropy", "sink"], path=path)


def test_a_study_that_is_killed_while_it_reads_keeps_its_file(model: ac.Model, tmp_path: Path) -> None:
    def interrupt(done: int, rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(model, TEXTS, measures=["sink"], path=tmp_path / "s.parquet", progress=interrupt)
    assert [file.name for file in tmp_path.iterdir()] == ["s.parquet"]
    assert 0 < open_study(tmp_path / "s.parquet").n < 50


# --- Translators, limits, and what is wrong ---------------------------------------------------------------------------


def test_pairs_and_sentences_of_a_translator() -> None:
    translator = ac.load("tiny-translator")
    pairs = [("the cat sleeps", "le chat dort"), ("the small car", "la petite voiture")]
    result = run_study(translator, [*pairs, "the cat sleeps"], measures=["sink", "distance"])
    frame = result.frame()
    assert set(frame.stream) == {"encoder", "decoder", "cross"} and result.n == 3
    assert (frame[(frame.stream == "cross") & (frame.measure == "distance")].n == 0).all()
    trace = ac.trace(translator, pairs[0][0], target=pairs[0][1])
    table = ac.collect([trace], ["sink"], stream="cross").set_index(["layer", "head"]).value
    values = result.values(1, 2, "sink", "cross").set_index("row")
    assert values.value[0] == pytest.approx(table[1, 2], abs=1e-6) and values.text[1] == pairs[1]
    with pytest.raises(ValueError, match="say which stream: encoder, decoder, cross"):
        result.values(0, 0, "sink")


def test_pairs_of_a_model_with_segments_are_read_as_pairs() -> None:
    minilm = ac.load("minilm")
    pairs = [("the dog slept", "it was tired"), ("the cat ate", "it was hungry at noon")]
    result = run_study(minilm, pairs, measures=["sink", "delta_share"])
    expected = ac.collect((ac.trace(minilm, pair) for pair in pairs), ["sink", "delta_share"])
    means = expected.groupby(["layer", "head", "measure"], sort=True).value.mean()
    found = result.frame().set_index(["layer", "head", "measure"])["mean"].sort_index()
    np.testing.assert_allclose(found, means, atol=1e-6)
    assert result.values(0, 0, "sink").text.isin(pairs).all()


def test_what_is_wrong_is_said_before_anything_is_read(model: ac.Model) -> None:
    with pytest.raises(ValueError, match="at least 2 sentences, got 1"):
        run_study(model, ["the creature"])
    with pytest.raises(ValueError, match="at most 10,000 sentences, got 10,001: read it in shards"):
        run_study(model, ["the creature"] * 10_001)
    with pytest.raises(ValueError, match="'width' is no measure; name some of entropy"):
        run_study(model, TEXTS, measures=["width"])
    with pytest.raises(ValueError, match="two measures are called 'entropy'"):
        run_study(model, TEXTS, measures=["entropy", "entropy"])
    with pytest.raises(ValueError, match="name at least one"):
        run_study(model, TEXTS, measures=[])
    with pytest.raises(ValueError, match="50 sentences and 2 groups"):
        run_study(model, TEXTS, groups=["a", "b"])
    with pytest.raises(ValueError, match="of 4 shards there is none with number 4"):
        run_study(model, TEXTS, shard=(4, 4))
    with pytest.raises(ac.EmptyText, match="None of these rows holds a sentence"):
        run_study(model, ["", " ", ""])
    with pytest.raises(ac.HeadlightError, match="has no second segment, so it takes no pair"):
        run_study(model, [("the creature", "the tower"), "the creature"])
    result = run_study(model, TEXTS[:2], measures=["sink"])
    with pytest.raises(IndexError, match="head 9 is out of range: this study has head 0 to 3"):
        result.values(0, 9, "sink")
    with pytest.raises(ValueError, match="measures sink"):
        result.values(0, 0, "entropy")
