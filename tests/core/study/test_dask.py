"""The example that runs a study on a Dask cluster: two workers, of which one is killed while it reads."""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import pytest

from attn_core.study import merge, open_study
from attn_core.study.run import as_sentences, run_study

pytestmark = pytest.mark.full
ROOT = Path(__file__).parents[3]
SHARDS = 6


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """As a module that workers can import, too."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'examples'}")
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    spec = importlib.util.spec_from_file_location("study_dask", ROOT / "examples" / "study_dask.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "study_dask", module)
    spec.loader.exec_module(module)
    return module


def test_one_of_two_workers_is_killed_and_the_bytes_are_those_of_one_machine(
    example: ModuleType, tmp_path: Path
) -> None:
    from distributed import Client, LocalCluster

    chosen = random.Random(0)
    words = ["the", "blue", "red", "creature", "tower", "ate", "slept", "a"]
    sentences = as_sentences([" ".join(chosen.choices(words, k=chosen.randint(3, 12))) for _ in range(480)])
    killed: list[int] = []

    def kill_one(client: Client) -> None:
        """Once the first shard is there, in the middle of the others."""
        while not list(tmp_path.glob("parts/part-*.parquet")):
            time.sleep(0.01)
        workers = client.run(os.getpid)
        killed.append(next(iter(workers.values())))
        os.kill(killed[0], signal.SIGKILL)

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        before = set(client.run(os.getpid).values())
        thread = threading.Thread(target=kill_one, args=(client,))
        thread.start()
        result = example.study(client, "tiny-decoder", sentences, SHARDS, tmp_path / "parts")
        thread.join()
        assert killed and killed[0] in before and len(before) == 2
    expected = merge([run_study("tiny-decoder", sentences, shard=(number, SHARDS)) for number in range(SHARDS)])
    assert result.shards == tuple(range(SHARDS))
    assert result.frame().to_csv(index=False) == expected.frame().to_csv(index=False)
    parts = sorted((tmp_path / "parts").iterdir())
    assert len(parts) == SHARDS and all(open_study(part).complete for part in parts)
