from __future__ import annotations

import pyarrow.fs as pafs
import pytest

from actors.market.errors import UsageError
from actors.writer import object_store
from cluster.occupancy import occupied
from tests.bucket import NAME, run_bucket

STORE = f"s3://{NAME}/store"


def everything_directly_inside(uri: str) -> set[str]:
    objects = object_store.Objects(uri, object_store.options(uri))
    return {entry.path for entry in objects.get_file_info_selector(pafs.FileSelector(""))}


def test_a_store_that_overlooks_the_condition_of_a_write_is_refused(bucket, monkeypatch):
    """In words, before a run, and nothing is left of finding that out."""
    with run_bucket("careless") as careless:
        for name, value in careless.environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(UsageError, match="takes no conditional writes"), occupied(STORE):
            pytest.fail("a run would have begun")
        assert everything_directly_inside(STORE) == set()


def test_a_store_that_heeds_it_is_there_within(bucket):
    """With both of its tables, and none beside."""
    with occupied(STORE):
        assert everything_directly_inside(STORE) == {"candles", "chunks"}
