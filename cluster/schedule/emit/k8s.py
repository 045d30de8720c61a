"""A RayCronJob for each job, which has KubeRay make a cluster for every run, and the config beside it.

Of `batch/v1` there is CronJob too, but it would need an image with `kubectl`, and rights, to make a RayJob.
Source: github.com/ray-project/kuberay, ray-operator/apis/ray/v1/raycronjob_types.go of v1.7.0, the first
with `timeZone`; the controller is off unless its feature gate is on.
"""

from __future__ import annotations

import copy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from actors.market.errors import UsageError
from actors.writer.object_store import is_remote
from cluster.config import RunConfig
from cluster.config.file import read_mapping
from cluster.config.schedule import IN_ENVIRONMENT, JobSettings, NotifySettings
from cluster.schedule.emit.place import Place

#: The operator's own limit, so that what it makes of the name is still one.
#: Source: MaxRayCronJobNameLength in ray-operator/controllers/ray/utils/constant.go of v1.7.0.
_NAME_CHARS = 36
_MAX_CONFIG_BYTES = 1_000_000  # etcd takes 1 MiB

_TEMPLATE = Path(__file__).parents[2] / "launch" / "rayjob.yaml"
_FOLDER = "/etc/candlefleet"
_CONFIG, _LISTING = "config.yaml", "universe.csv"
_WEBHOOKS = "candlefleet-webhooks"

#: Beside what a scan needs: what reckons when a job is due, and what computes screens.
ALWAYS = "APScheduler>=3.11,<4"
FOR_SCREENS = "TA-Lib>=0.8"

_ABOUT = f"""\
# Jobs of {{config}}, for KubeRay 1.7 or newer, whose feature gate RayCronJob is on:
#   helm upgrade kuberay-operator kuberay/kuberay-operator --version 1.7.0 \\
#     --set 'featureGates[0].name=RayCronJob,featureGates[0].enabled=true'
# Before `kubectl apply` put in your working_dir and AWS_REGION. The token is the secret candlefleet-upstox's,
# and the ledger needs state.yaml: cluster/launch/README.md. A webhook `$NAME` is the key NAME of the secret
# {_WEBHOOKS}. KubeRay starts a run also while an earlier one is under way; on the same store it is
# refused (exit code 2), and tried once more.
"""


class _Dumper(yaml.SafeDumper):
    """Files within a file stay readable."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  # each manifest stands for itself
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, "|" if "\n" in text else None)


_Dumper.add_representer(str, _Dumper.represent_text)


def manifests(place: Place, settings: RunConfig) -> str:
    """Raises UsageError for what pods could not do, or what must not stand in a config map."""
    _refuse_what_stays(settings)
    config = _config_map(place, settings)
    jobs = [_cron_job(place, job, settings, config) for job in settings.schedule.jobs]
    written = yaml.dump_all([config, *jobs], Dumper=_Dumper, allow_unicode=True, sort_keys=False)
    return _ABOUT.format(config=place.config) + written


def _refuse_what_stays(settings: RunConfig) -> None:
    if not is_remote(settings.store):
        raise UsageError("a pod's disk goes with it; name a store in a bucket, s3://…", "store")
    for at, job in enumerate(settings.schedule.jobs):
        for screen in job.screens:
            where = f"schedule.jobs[{at}].screens"
            if "/" in screen.screen or "." in screen.screen:
                raise UsageError(f"{screen.screen} stays here; only ready screens go along", where)
            if screen.out is not None:
                raise UsageError(f"{screen.out} would go with its pod; leave out `out`", where)
    for at, listener in enumerate(settings.schedule.notify):
        if listener.webhook is not None and _variable(listener) is None:
            problem = "would be read by all who may read config maps; write $NAME for a variable"
            raise UsageError(problem, f"schedule.notify[{at}].webhook")


def _config_map(place: Place, settings: RunConfig) -> dict[str, Any]:
    """The config with what it names beside it. The token's file stays here; pods have a variable."""
    content = read_mapping(place.config)
    data = {}
    listing = settings.asks[0].universe.file
    if listing is not None:
        data[_LISTING] = _text(listing)
        content["universe"]["file"] = _LISTING
    if isinstance(content.get("provider"), dict):
        content["provider"].pop("token_file", None)
    content["store"] = settings.store
    data[_CONFIG] = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    if sum(len(text.encode()) for text in data.values()) > _MAX_CONFIG_BYTES:
        raise UsageError("is too large for a config map (1 MB)", str(place.config))
    name = place.name("config", _NAME_CHARS)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _text(listing: Path) -> str:
    try:
        return listing.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", str(listing)) from None
    except UnicodeDecodeError:
        raise UsageError("is not UTF-8 text", str(listing)) from None


def _cron_job(
    place: Place, job: JobSettings, settings: RunConfig, config: dict[str, Any]
) -> dict[str, Any]:
    spec = _spec(job)
    head = spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    (container,) = head["containers"]
    container["env"] += list(_webhooks(settings))
    container["volumeMounts"].append({"name": "config", "mountPath": _FOLDER, "readOnly": True})
    head["volumes"].append({"name": "config", "configMap": {"name": config["metadata"]["name"]}})
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCronJob",
        "metadata": {"name": place.name(job.name, _NAME_CHARS)},
        "spec": {"schedule": job.when.cron, "timeZone": "Asia/Kolkata", "jobTemplate": spec},
    }


def _spec(job: JobSettings) -> dict[str, Any]:
    """That of the one scan which is there to be copied, with another command."""
    spec: dict[str, Any] = copy.deepcopy(yaml.safe_load(_TEMPLATE.read_text())["spec"])
    argv = ["python", "-m", "cluster", "schedule", f"{_FOLDER}/{_CONFIG}", "--once", job.name]
    spec["entrypoint"] = shlex.join(argv)
    environment = yaml.safe_load(spec["runtimeEnvYAML"])
    environment["pip"] += [ALWAYS, *([FOR_SCREENS] if job.screens else [])]
    spec["runtimeEnvYAML"] = yaml.safe_dump(environment, sort_keys=False)
    return spec


def _webhooks(settings: RunConfig) -> Iterator[dict[str, Any]]:
    names = {name for each in settings.schedule.notify if (name := _variable(each)) is not None}
    for name in sorted(names):
        reference = {"name": _WEBHOOKS, "key": name, "optional": True}
        yield {"name": name, "valueFrom": {"secretKeyRef": reference}}


def _variable(listener: NotifySettings) -> str | None:
    match = IN_ENVIRONMENT.fullmatch(listener.webhook or "")
    return None if match is None else match["name"]
