"""KubeRay's definitions, as it would hold a manifest against them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

#: Kubernetes names any object by such a word.
NAME = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}


def closed(schema: Any) -> Any:
    """The schema, which refuses what it does not name: as Kubernetes does when it is asked to be strict."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    shut = {"additionalProperties": False} if "properties" in schema else {}
    return shut | {key: closed(value) for key, value in schema.items()}


def definition(kind: str) -> dict[str, Any]:
    """Of a whole manifest."""
    found = yaml.safe_load((Path(__file__).parent / "kuberay.yaml").read_text())
    properties = {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": kind},
        "metadata": {"type": "object", "properties": {"name": NAME}},
        "spec": {"$ref": f"#/$defs/{kind}"},
    }
    return closed({**found, "properties": properties, "required": list(properties)})
