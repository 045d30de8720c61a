"""The clusters we ship: by Ray's own validator, and for KubeRay by its own definitions."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import click
import jsonschema
import pytest
import ray
import yaml
from ray._private.runtime_env.packaging import is_zip_uri
from ray._private.runtime_env.protocol import ProtocolsProvider
from ray.autoscaler._private.aws.config import _check_ami
from ray.autoscaler._private.util import prepare_config, validate_config
from typer.main import get_command

import cluster
from actors.requirements import NODES
from cluster.cli import app
from cluster.inside import DRIVER
from tests.cluster.kuberay import definition

LAUNCH = Path(cluster.__file__).parent / "launch"
ROOT = Path(cluster.__file__).parents[1]
IMAGE = "rayproject/ray:2.60.0-py311"
PINNED = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line
)


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((LAUNCH / name).read_text())


@pytest.mark.parametrize("name", ["aws.yaml", "gcp.yaml"])
def test_ray_itself_takes_the_config_for_ray_up(name: str) -> None:
    config = read(name)
    validate_config(prepare_config(config))
    head = config["available_node_types"][config["head_node_type"]]
    assert head["node_config"]
    assert config["docker"]["image"] == IMAGE
    start = " ".join(config["head_start_ray_commands"])
    assert "--dashboard-host=127.0.0.1" in start
    assert (ROOT / config["file_mounts"]["/home/ray/requirements.txt"]).is_file()


@pytest.mark.parametrize("wrong", [{"auth": "none"}, {"no_such_key": 1}, {"max_workers": 1}])
def test_rays_validator_would_have_refused_a_mistake(wrong: dict[str, Any]) -> None:
    with pytest.raises((jsonschema.ValidationError, ValueError)):
        validate_config(prepare_config(read("aws.yaml") | wrong))


def test_every_machine_on_aws_has_an_image() -> None:
    """By the step of `ray up` that follows the validator, and aborts where a region has no image of Ray's."""
    config = prepare_config(read("aws.yaml"))
    _check_ami(config)
    for node_type in config["available_node_types"].values():
        image = node_type["node_config"].pop("ImageId")
        with pytest.raises(click.ClickException, match="has no ImageId"):
            _check_ami(config)
        node_type["node_config"]["ImageId"] = image


def test_no_secret_is_made_with_the_newline_that_ends_its_file() -> None:
    commands = (LAUNCH / "README.md").read_text().replace("\\\n", " ").splitlines()
    made = [line for line in commands if "create secret" in line]
    assert len(made) == 2
    assert all("tr -d '\\n' <" in line and "=/dev/stdin" in line for line in made)


MANIFESTS = pytest.mark.parametrize(
    ("name", "kind"), [("raycluster.yaml", "RayCluster"), ("rayjob.yaml", "RayJob")]
)


@MANIFESTS
def test_kuberay_takes_the_manifest(name: str, kind: str) -> None:
    jsonschema.validate(read(name), definition(kind))


@MANIFESTS
@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        ((), {"authOptions": {"mode": "on"}}),
        ((), {"rayVersions": "2.60.0"}),
        (("headGroupSpec", "template", "spec"), {"claims": []}),
        (("headGroupSpec", "template", "spec", "containers", 0), {"volumeMount": []}),
        (("workerGroupSpecs", 0), {"minReplicas": "2"}),
        (("workerGroupSpecs", 0, "template", "spec", "containers", 0, "env", 0), {"name": None}),
    ],
)
def test_kuberay_would_have_refused_a_mistake(
    name: str, kind: str, place: tuple[str | int, ...], wrong: dict[str, Any]
) -> None:
    found = read(name)
    part = found["spec"].get("rayClusterSpec", found["spec"])
    for step in place:
        if step == "env":
            part.setdefault("env", [{"name": "A", "value": "b"}])
        part = part[step]
    part.update(wrong)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, definition(kind))


@pytest.mark.parametrize("name", ["raycluster.yaml", "rayjob.yaml"])
def test_pods_run_the_pinned_ray_and_mount_what_there_is(name: str) -> None:
    spec = read(name)["spec"]
    whole = spec.get("rayClusterSpec", spec)
    assert whole["rayVersion"] == PINNED["ray"]
    for group in (whole["headGroupSpec"], *whole["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod.get("volumes", ())}
        mounted = {m["name"] for c in pod["containers"] for m in c.get("volumeMounts", ())}
        assert mounted == volumes
        assert all(c["image"] == IMAGE and c["resources"]["limits"] for c in pod["containers"])
    claims = [
        v.get("persistentVolumeClaim")
        for v in whole["headGroupSpec"]["template"]["spec"]["volumes"]
    ]
    assert {"claimName": read("state.yaml")["metadata"]["name"]} in claims


PATIENCE = re.compile(r"(RAY_health_check_\w+)=(\d+)")


@pytest.mark.parametrize("name", ["aws.yaml", "gcp.yaml", "raycluster.yaml", "rayjob.yaml"])
def test_each_head_soon_notices_a_lost_node_as_the_readme_has_it(name: str) -> None:
    """Under names that Ray knows: it takes any other without a word."""
    told = dict(PATIENCE.findall((ROOT / "README.md").read_text()))
    assert len(told) == 3
    gcs = Path(ray.__file__).parent / "core/src/ray/gcs/gcs_server"
    code = gcs.read_bytes()
    assert all(variable.removeprefix("RAY_").encode() in code for variable in told)
    spec = read(name)
    if "head_start_ray_commands" in spec:
        environment, _, _ = spec["head_start_ray_commands"][-1].partition(" ray start ")
        assert dict(PATIENCE.findall(environment)) == told
    else:
        whole = spec["spec"].get("rayClusterSpec", spec["spec"])
        variables = _variables(whole["headGroupSpec"])
        assert told.items() <= {v["name"]: v.get("value") for v in variables}.items()


def test_the_job_runs_a_command_of_ours_with_what_it_needs() -> None:
    spec = read("rayjob.yaml")["spec"]
    python, module, name, verb, *words = shlex.split(spec["entrypoint"])
    assert [python, module, name] == ["python", "-m", "cluster"]
    context = get_command(app).commands[verb].make_context(verb, words)  # type: ignore[attr-defined]
    assert (ROOT / context.params["config"]).is_file()
    assert context.params["store"].startswith("s3://")
    runtime_env = yaml.safe_load(spec["runtimeEnvYAML"])
    assert set(runtime_env) == {"working_dir", "pip"}
    assert sorted(runtime_env["pip"]) == sorted([*NODES, *DRIVER])
    lines = (LAUNCH / "requirements.txt").read_text().splitlines()
    assert sorted(lines[1:]) == sorted([*NODES, *DRIVER])


def test_the_code_is_fetched_from_where_it_was_put(tmp_path: Path) -> None:
    """By the README's own commands, but for the pod around the server, and by Ray's own rules."""
    commands = (LAUNCH / "README.md").read_text().replace("\\\n", " ").splitlines()
    archive, run, copy = (
        next(words for line in commands if (words := line.split())[:2] == start)
        for start in (["git", "archive"], ["kubectl", "run"], ["kubectl", "cp"])
    )
    pod, server = run[2], run[run.index("--") + 1 :]
    file, target = copy[2:]
    place, _, path = target.partition(":")
    source = yaml.safe_load(read("rayjob.yaml")["spec"]["runtimeEnvYAML"])["working_dir"]
    assert f"--image={IMAGE}" in run
    assert "--expose" in run
    assert f"--output={file}" in archive
    port = server[server.index("http.server") + 1]
    assert f"--port={port}" in run
    folder = server[server.index("--directory") + 1]
    assert (place, path) == (pod, f"{folder}/{file}")
    assert source == f"http://{pod}:{port}/{file}"
    assert is_zip_uri(source)
    assert source.partition("://")[0] in ProtocolsProvider.get_remote_protocols()

    (tmp_path / file).write_bytes(b"zip")
    here = {port: "0", folder: str(tmp_path), "python": sys.executable}
    words = [here.get(word, word) for word in [*server, "--bind", "127.0.0.1"]]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as serving:
        assert serving.stdout is not None
        told = re.search(r"http://[\d.:]+", serving.stdout.readline())
        try:
            assert told is not None
            assert urlopen(f"{told[0]}/{file}", timeout=30).read() == b"zip"
        finally:
            serving.kill()


def test_a_job_is_stopped_and_resumed_by_the_name_and_the_key_it_has() -> None:
    job = read("rayjob.yaml")
    lines = (LAUNCH / "README.md").read_text().splitlines()
    patches = [shlex.split(line) for line in lines if "kubectl patch" in line]
    assert len(patches) == 2
    for words, suspend in zip(patches, (True, False), strict=True):
        assert words[:4] == ["kubectl", "patch", "rayjob", job["metadata"]["name"]]
        patch = yaml.safe_load(words[-1])
        assert patch == {"spec": {"suspend": suspend}}
        jsonschema.validate(job | {"spec": job["spec"] | patch["spec"]}, definition("RayJob"))


@pytest.mark.parametrize("path", sorted(LAUNCH.glob("*.yaml")), ids=lambda path: path.name)
def test_each_file_is_told_of_and_none_holds_a_secret(path: Path) -> None:
    assert path.name in (LAUNCH / "README.md").read_text()
    for variable in _variables(yaml.safe_load(path.read_text())):
        name = variable["name"]
        if name not in ("AWS_REGION", "CANDLEFLEET_STATE_DIR") and not name.startswith(
            "RAY_health"
        ):
            assert set(variable) == {"name", "valueFrom"}


def _variables(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return value.get("env", []) + [v for inner in value.values() for v in _variables(inner)]
    return [v for inner in value for v in _variables(inner)] if isinstance(value, list) else []
