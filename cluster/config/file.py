"""Reads a config file into plain values; refuses what could mean something else than it seems."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from actors.market.errors import UsageError
from cluster.config.mistakes import JWT, KEEP_OUT

#: A config of 5,000 symbols in the longest form is 1.5 MB.
MAX_BYTES = 4 * 2**20
#: Nested lists and mappings; ours need seven. LibYAML's composer crashes on a million.
MAX_DEPTH = 32
#: Values after every YAML alias is followed, so that a few lines cannot unfold into gigabytes.
MAX_VALUES = 500_000

_SWITCHES = frozenset({"true", "false"})
_BOOL = "tag:yaml.org,2002:bool"
_STR = "tag:yaml.org,2002:str"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # chosen at run time
    """YAML's safe subset, dates left as text: they are checked with all other values, and named."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # PyYAML's own name and type
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read_mapping(path: Path) -> dict[str, Any]:
    """Top-level mapping of a YAML or JSON file. Raises UsageError, naming line and column.

    `.json` is read as JSON, `.yaml` and `.yml` as YAML, anything else by its first character.
    """
    text = _read_text(path)
    is_json = path.suffix.lower() == ".json" or (
        path.suffix.lower() not in (".yaml", ".yml") and text.lstrip().startswith("{")
    )
    try:
        content = _parse_json(text) if is_json else _parse_yaml(text)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"line {error.lineno}, column {error.colno}: no JSON: {error.msg}", str(path)
        ) from None
    except yaml.MarkedYAMLError as error:
        raise UsageError(_in_words(error, text), str(path)) from None
    except yaml.YAMLError as error:  # characters that no YAML may hold
        raise UsageError(f"no YAML: {str(error).splitlines()[0]}", str(path)) from None
    except RecursionError:
        raise UsageError(f"nested deeper than {MAX_DEPTH} levels", str(path)) from None
    except ValueError as error:
        raise UsageError(str(error), str(path)) from None
    if not isinstance(content, dict):
        what = "is empty" if content is None else "is not a mapping"
        raise UsageError(f"{what}; a config starts with keys such as `universe:`", str(path))
    return content


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError("there is no such file", str(path)) from None
    except IsADirectoryError:
        raise UsageError("is a folder, not a config file", str(path)) from None
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", str(path)) from None
    if len(content) > MAX_BYTES:
        raise UsageError(
            f"is larger than {MAX_BYTES // 2**20} MB, too large for a config", str(path)
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UsageError(f"line {line}: is not UTF-8 text", str(path)) from None
    # Before anything of it is repeated: under the wrong key, or in what is no YAML, it would be.
    if token := JWT.search(text):
        line = text.count("\n", 0, token.start()) + 1
        raise UsageError(f"line {line}: {KEEP_OUT}", str(path))
    return text


def _parse_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key `{key}` stands twice in one mapping")
        found[key] = value
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number in JSON")


def _parse_yaml(text: str) -> Any:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(
            event, yaml.CollectionEndEvent
        )
        if depth > MAX_DEPTH:
            raise ValueError(f"{_place(event.start_mark)}nested deeper than {MAX_DEPTH} levels")
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check(node, depth=0, seen=0)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _check(node: yaml.Node, depth: int, seen: int) -> int:
    """Walk a node as if its aliases were written out. Returns how many values were seen by now."""
    seen += 1
    if depth > MAX_DEPTH or seen > MAX_VALUES:
        raise ValueError(f"{_place(node.start_mark)}its aliases unfold into too much")
    if isinstance(node, yaml.MappingNode):
        _check_keys(node)
        for _, value in node.value:
            seen = _check(value, depth + 1, seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            seen = _check(value, depth + 1, seen)
    elif node.tag == _BOOL and node.value.lower() not in _SWITCHES:
        raise ValueError(
            f"{_place(node.start_mark)}YAML reads the bare word {node.value} as true or false;"
            f' quote it: "{node.value}" (a switch is written true or false)'
        )
    return seen


def _check_keys(node: yaml.MappingNode) -> None:
    keys: set[str] = set()
    for key, _ in node.value:
        place = _place(key.start_mark)
        if key.tag == "tag:yaml.org,2002:merge":
            continue
        if key.tag != _STR:
            raise ValueError(f"{place}a key must be a word; quote it")
        if key.value in keys:
            raise ValueError(f"{place}the key `{key.value}` stands twice in one mapping")
        keys.add(key.value)


def _is_indented_by_tabs(lines: list[str]) -> bool:
    """Whether the first of `lines` is."""
    return bool(lines) and lines[0].lstrip(" ").startswith("\t")


def _place(mark: Any) -> str:
    return "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "


def _in_words(error: yaml.MarkedYAMLError, text: str) -> str:
    mark = error.problem_mark or error.context_mark
    place = _place(mark)
    if isinstance(error, yaml.constructor.ConstructorError):
        return f"{place}YAML tags are not allowed here"
    if mark is not None and _is_indented_by_tabs(text.splitlines()[mark.line :]):
        return f"{place}begins with a tab; YAML wants blanks there"
    return f"{place}no YAML: {error.problem or error.context}"
