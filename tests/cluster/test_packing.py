"""What goes along to a cluster with a job; nothing of it is sent here."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from actors.market.errors import UsageError
from cluster.config import Overrides, load
from cluster.inside import JOB_VARIABLE
from cluster.packing import Order, Package, packed

TOKEN = "a-t0ken-of-the-user"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "some.csv").write_text("Symbol\nSBIN\n")
    path = tmp_path / "some run.json"
    path.write_text(
        '{"store": "s3://bucket/some", "universe": {"file": "lists/some.csv"},'
        ' "timeframes": ["1day"], "dates": {"from": "2024-01-01"},'
        ' "schedule": {"notify": [{"webhook": "https://hooks.example.com/s3cret"}]}}'
    )
    return path


def argv(package: Package) -> list[str]:
    words = shlex.split(package.entrypoint)
    assert words[:4] == ["exec", "python", "-m", "cluster"]
    return words[4:]


def test_the_job_reads_the_config_as_we_do_with_our_code_and_no_other(config: Path) -> None:
    overrides = Overrides(last="2024-02-01", base_url="https://exchange.example")
    with packed(Order(config=config, overrides=overrides, as_json=True)) as package:
        folder = Path(package.runtime_env["working_dir"])
        words = argv(package)
        assert words[:2] == ["scan", "some run.yaml"]
        assert words[2:] == [
            "--base-url",
            "https://exchange.example",
            "--to",
            "2024-02-01",
            "--json",
        ]
        there, here = load(folder / words[1], overrides), load(config, overrides)
        assert there.asks[0].universe.file == folder / "universes" / "some.csv"
        assert there.asks[0].universe.file.read_text() == "Symbol\nSBIN\n"
        without_place = {"asks": ..., "schedule": ...}
        assert there.describe() | without_place == here.describe() | without_place
        assert here.schedule.notify  # who is told stays here: a webhook is a secret
        assert "s3cret" not in (folder / words[1]).read_text()
        code = "import actors, cluster; print(actors.__file__, cluster.__file__)"
        isolated = [sys.executable, "-S", "-c", code]
        assert not list(folder.rglob("__pycache__"))
        assert not (folder / "tests").exists()
        printed = subprocess.check_output(isolated, cwd=folder, env={}, text=True)
        assert printed.split() == [f"{folder}/actors/__init__.py", f"{folder}/cluster/__init__.py"]
        assert package.store == "s3://bucket/some"
    assert not folder.exists()


def test_the_cluster_may_be_told_where_its_token_is_and_to_install_what_we_need(
    config: Path,
) -> None:
    order = Order(config=config, overrides=Overrides(), token_file="/run/secrets/t", install=True)
    with packed(order) as package:
        folder = Path(package.runtime_env["working_dir"])
        assert "token_file: /run/secrets/t" in (folder / "some run.yaml").read_text()
        assert "deltalake>=1.6.6" in package.runtime_env["pip"]


@pytest.mark.parametrize(
    ("change", "order", "told"),
    [
        (
            '"store": "s3://bucket/some"',
            {"token_file": "token"},
            "--token-file: must be an absolute",
        ),
        ('"store": "data/some"', {}, "store data/some: a relative path"),
        ('"provider": {"token_file": "token"}', {}, "provider.token_file: stays on this machine"),
        ('"store": "s3://bucket/a-t0ken-of-the-user"', {}, "a token must not go along"),
        (
            '"store": "s3://bucket/eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl"',
            {},
            "a token must not stand in a config",
        ),
        ('"provider": {"token": "x"}', {}, "a token must not stand in a config"),
    ],
)
def test_what_the_cluster_would_refuse_or_must_not_see_is_refused_here(
    config: Path, change: str, order: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", TOKEN)
    (config.parent / "token").write_text(TOKEN)
    if '"store"' in change:
        config.write_text(config.read_text().replace('"store": "s3://bucket/some"', change))
    else:
        config.write_text(config.read_text().replace("{", f"{{{change}, ", 1))
    with (
        pytest.raises(UsageError, match=told),
        packed(Order(config=config, overrides=Overrides(), **order)),
    ):
        pytest.fail("it would have been sent")


@pytest.mark.parametrize(
    ("job", "code", "told"), [("{}", 2, "no-such-package>=3"), (None, 0, "0.")]
)
def test_a_job_whose_head_lacks_a_package_says_so_before_it_is_needed(
    job: str | None, code: int, told: str
) -> None:
    """As if we needed one more than there is; where it is no job, our installation has seen to it."""
    lines = "import runpy, sys, cluster.inside as inside; inside.DRIVER += ('no-such-package>=3',)"
    lines += (
        "; sys.argv = ['cluster', '--version']; runpy.run_module('cluster', run_name='__main__')"
    )
    environment = {} if job is None else {JOB_VARIABLE: job}
    done = subprocess.run(
        [sys.executable, "-c", lines],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert told in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
