"""The clusters we ship: by Ray's own validator, and for KubeRay by its definitions of what we use."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml
from ray.autoscaler._private.aws.config import _check_ami
from ray.autoscaler._private.util import prepare_config, validate_config
from typer.main import get_command

import cluster
from actors.requirements import NODES
from cluster.cli import app
from cluster.inside import DRIVER

LAUNCH = Path(cluster.__file__).parent / "launch"
ROOT = Path(cluster.__file__).parents[1]
IMAGE = "rayproject/ray:2.60.0-py311"
PINNED = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line
)


def obj(required: list[str], **properties: Any) -> dict[str, Any]:
    """No other keys than these."""
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }


def array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


TEXT = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0}
SWITCH = {"type": "boolean"}
QUANTITIES = obj(
    ["cpu", "memory"],
    cpu={"type": "string", "pattern": r"^\d+m?$"},
    memory={"type": "string", "pattern": r"^\d+Gi$"},
)
SECRET_KEY = obj(["name", "key"], name=TEXT, key=TEXT, optional=SWITCH)
VARIABLE = obj(
    ["name"], name=TEXT, value=TEXT, valueFrom=obj(["secretKeyRef"], secretKeyRef=SECRET_KEY)
)
MOUNT = obj(["name", "mountPath"], name=TEXT, mountPath=TEXT, readOnly=SWITCH)
PORT = obj(["containerPort"], containerPort={"type": "integer"}, name=TEXT)
CONTAINER = obj(
    ["name", "image", "resources"],
    name=TEXT,
    image={"const": IMAGE},
    ports=array(PORT),
    resources=obj(["requests", "limits"], requests=QUANTITIES, limits=QUANTITIES),
    env=array(VARIABLE),
    volumeMounts=array(MOUNT),
)
VOLUME = obj(
    ["name"],
    name=TEXT,
    secret=obj(["secretName"], secretName=TEXT, optional=SWITCH),
    persistentVolumeClaim=obj(["claimName"], claimName=TEXT),
)
POD = obj(
    ["containers"],
    containers=array(CONTAINER),
    volumes=array(VOLUME),
    securityContext=obj(["fsGroup"], fsGroup={"type": "integer"}),
)
PARAMS = {"type": "object", "additionalProperties": TEXT}
TEMPLATE = obj(["spec"], spec=POD)
#: Fields as in KubeRay 1.7's definition of ray.io/v1.
CLUSTER = obj(
    ["rayVersion", "headGroupSpec", "workerGroupSpecs"],
    rayVersion={"const": PINNED["ray"]},
    authOptions=obj(["mode"], mode={"enum": ["token", "disabled"]}),
    headGroupSpec=obj(["template"], rayStartParams=PARAMS, template=TEMPLATE),
    workerGroupSpecs=array(
        obj(
            ["groupName", "minReplicas", "maxReplicas", "template"],
            groupName=TEXT,
            replicas=COUNT,
            minReplicas=COUNT,
            maxReplicas=COUNT,
            rayStartParams=PARAMS,
            template=TEMPLATE,
        )
    ),
)
JOB = obj(
    ["entrypoint", "rayClusterSpec"],
    entrypoint=TEXT,
    runtimeEnvYAML=TEXT,
    shutdownAfterJobFinishes=SWITCH,
    ttlSecondsAfterFinished=COUNT,
    backoffLimit=COUNT,
    activeDeadlineSeconds=COUNT,
    rayClusterSpec=CLUSTER,
)
NAMED = obj(["name"], name={"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"})


def manifest(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return obj(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": "ray.io/v1"},
        kind={"const": kind},
        metadata=NAMED,
        spec=spec,
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


@pytest.mark.parametrize(
    ("name", "kind", "spec"),
    [("raycluster.yaml", "RayCluster", CLUSTER), ("rayjob.yaml", "RayJob", JOB)],
)
def test_kuberay_knows_every_field(name: str, kind: str, spec: dict[str, Any]) -> None:
    found = read(name)
    jsonschema.validate(found, manifest(kind, spec))
    whole = found["spec"].get("rayClusterSpec", found["spec"])
    for group in (whole["headGroupSpec"], *whole["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod.get("volumes", ())}
        mounted = {m["name"] for c in pod["containers"] for m in c.get("volumeMounts", ())}
        assert mounted == volumes
    claims = [
        v.get("persistentVolumeClaim")
        for v in whole["headGroupSpec"]["template"]["spec"]["volumes"]
    ]
    assert {"claimName": read("state.yaml")["metadata"]["name"]} in claims


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


@pytest.mark.parametrize("path", sorted(LAUNCH.glob("*.yaml")), ids=lambda path: path.name)
def test_each_file_is_told_of_and_none_holds_a_secret(path: Path) -> None:
    assert path.name in (LAUNCH / "README.md").read_text()
    for variable in _variables(yaml.safe_load(path.read_text())):
        if variable["name"] not in ("AWS_REGION", "CANDLEFLEET_STATE_DIR"):
            assert set(variable) == {"name", "valueFrom"}


def _variables(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return value.get("env", []) + [v for inner in value.values() for v in _variables(inner)]
    return [v for inner in value for v in _variables(inner)] if isinstance(value, list) else []
