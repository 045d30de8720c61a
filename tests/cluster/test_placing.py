from __future__ import annotations

import pytest

from actors.market.errors import UsageError
from cluster.inside import JOB_VARIABLE
from cluster.placing import refuse_adrift


def test_on_ones_own_machine_a_store_may_be_anywhere() -> None:
    refuse_adrift("data/nifty50", on_cluster=False)


@pytest.mark.parametrize("store", ["/data/nifty50", "s3://bucket/prefix", "~/data"])
def test_what_every_node_understands_alike_may_be_a_store_of_a_cluster(store: str) -> None:
    refuse_adrift(store, on_cluster=True)


def test_a_relative_store_is_refused_on_a_cluster_with_what_to_write_instead() -> None:
    with pytest.raises(UsageError, match="s3://bucket/prefix, or an absolute .* as /data/nifty50"):
        refuse_adrift("stores/nifty50", on_cluster=True)


def test_a_store_in_a_jobs_own_folder_is_refused_in_a_job_alone(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    refuse_adrift(f"{tmp_path}/data", on_cluster=True)
    monkeypatch.setenv(JOB_VARIABLE, "{}")
    with pytest.raises(UsageError, match="which Ray deletes"):
        refuse_adrift(f"{tmp_path}/data", on_cluster=True)
