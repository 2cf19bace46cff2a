"""One study in shards, each read by whichever worker is free: on this machine's processes, or on any Dask cluster.

python examples/study_dask.py texts.csv --column sentence --shards 8 --out study.parquet
python examples/study_dask.py texts.csv --shards 64 --scheduler tcp://10.0.0.5:8786 --out study.parquet

A worker that dies, or a shard that fails, is tried again elsewhere. Every shard that is done is kept beside `--out`, so
the same command goes on where it was stopped. Merged, shards give the bytes that one machine gives for them.
Needs the packages dask and distributed, and Headlight on every worker.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from distributed import Client, LocalCluster, as_completed

from attn_core.errors import HeadlightError
from attn_core.study import StudyResult, merge, open_study
from attn_core.study.run import run_study
from attn_core.study.texts import Columns, Sentence, read

RETRIES = 3


def read_shard(model: str, sentences: list[Sentence], number: int, of: int, rules: tuple[str, ...]) -> StudyResult:
    """What one worker does. It may be called `model` by its name, so a worker loads it once for all of its shards."""
    return run_study(model, sentences, rules=rules, shard=(number, of))


def study(
    client: Client, model: str, sentences: list[Sentence], shards: int, folder: Path, rules: tuple[str, ...] = ()
) -> StudyResult:
    """Read all shards on a cluster, keep each in a folder as it comes, and merge them."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {number: folder / f"part-{number}-of-{shards}.parquet" for number in range(shards)}
    missing = [number for number, path in paths.items() if not _is_done(path)]
    everywhere = client.scatter(sentences, broadcast=True)
    numbers = {
        client.submit(read_shard, model, everywhere, number, shards, rules, retries=RETRIES, pure=False): number
        for number in missing
    }
    for future in as_completed(numbers):
        future.result().save(paths[numbers[future]])
        print(f"shard {numbers[future]} of {shards} is done", flush=True)
        future.release()
    return merge(paths.values())


def _is_done(path: Path) -> bool:
    try:
        return path.exists() and open_study(path).complete
    except HeadlightError:
        return False


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    made.add_argument("texts", type=Path)
    made.add_argument("--column", default="")
    made.add_argument("--model", default="minilm")
    made.add_argument("--rule", action="append", default=[])
    made.add_argument("--shards", type=int, default=8)
    made.add_argument("--workers", type=int, default=2, help="processes of a cluster on this machine (default: 2)")
    made.add_argument("--scheduler", help="the address of a cluster, instead of one on this machine")
    made.add_argument("--out", type=Path, required=True)
    return made


def main() -> None:
    asked = parser().parse_args()
    sentences = read(asked.texts, Columns(asked.column))
    where = asked.scheduler or LocalCluster(n_workers=asked.workers, threads_per_worker=1, dashboard_address=None)
    with Client(where) as client:
        folder = asked.out.with_suffix(".parts")
        result = study(client, asked.model, sentences, asked.shards, folder, tuple(asked.rule))
    result.save(asked.out)
    print(f"{asked.out}: {result.n:,} sentences, {result.duplicates} said twice")


if __name__ == "__main__":
    main()
