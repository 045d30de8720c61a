"""What is wrong with a config, in the words of the one who wrote it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cluster.config.section import REVERSED, nearest, quoted

#: Path of a key: names of keys and places in lists.
Where = tuple[int | str, ...]

KEEP_OUT = "a token must not stand in a config; put it into the environment as UPSTOX_ACCESS_TOKEN"
#: The provider's tokens are JSON Web Tokens.
JWT = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}")
#: A number to everybody but YAML 1.1, which wants a point and a sign in it.
_POWER = re.compile(r"(?P<digits>[+-]?\d+(\.\d*)?)[eE](?P<exponent>[+-]?\d{1,2})")
_SECRET = re.compile(r"token|secret|passw|api_?key|authori[sz]ation|bearer", re.IGNORECASE)

_WANTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
}


def in_words(
    error: ValidationError, form: type[BaseModel], options: Mapping[Where, str]
) -> list[str]:
    """Every mistake once, each with its key's path, or the option that overrode the key."""
    found: dict[str, None] = {}
    for detail in error.errors(include_url=False):
        words = _words(detail, form)
        where = _option(detail, options) or path_of(detail["loc"])
        for line in words.splitlines():
            found[f"{where}: {line}" if where else line] = None
    return list(found)


def path_of(where: Where) -> str:
    """`symbols[2].date_range.from_date`; places in a list count from 0."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    return text.removeprefix(".")


def looks_secret(key: str) -> bool:
    return key != "token_file" and _SECRET.search(key) is not None


def _words(detail: ErrorDetails, form: type[BaseModel]) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    match kind:
        case "extra_forbidden":
            return _unknown(detail["loc"], form)
        case "missing" | "string_too_short" | "too_short":
            return "is missing" if kind == "missing" else "is empty"
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return f"must be {context['expected']}, not {quoted(value)}"
        case _ if kind == REVERSED:
            return detail["msg"]
    wanted = _WANTED.get(kind) or detail["msg"].removeprefix("Input should be ")
    shown = "nothing" if value is None else quoted(value)
    return f"must be {wanted}, not {shown}{_advice(kind, value)}"


def _advice(kind: str, value: object) -> str:
    """Where YAML has taken something for what it was not meant to be."""
    if kind == "string_type" and isinstance(value, (bool, int, float)):
        return "; quote it"  # a symbol such as TRUE, or 500112
    if isinstance(value, str) and (power := _POWER.fullmatch(value)):
        digits, exponent = power["digits"], int(power["exponent"])
        as_yaml = f"{digits}{'' if '.' in digits else '.0'}e{exponent:+d}"
        return {"float_type": f"; write {as_yaml}", "int_type": "; write it out"}.get(kind, "")
    return ""


def _unknown(where: Where, form: type[BaseModel]) -> str:
    key = str(where[-1])
    if looks_secret(key):
        return KEEP_OUT
    known = _keys(form, where[:-1])
    if len(where) == 1 and "symbols" in known and key in ("universe", "timeframes", "dates"):
        return "cannot stand beside a top-level `symbols`; use one form or the other"
    advice = nearest(key, known) or f"; known here: {', '.join(known)}"
    return f"unknown key{advice}"


def _keys(form: type[BaseModel], where: Where) -> list[str]:
    """Keys that a config may have at `where`."""
    here: Any = form
    for part in where:
        if isinstance(part, str):
            fields = {f.alias or name: f for name, f in _model(here).model_fields.items()}
            here = fields[part].annotation
    return [field.alias or name for name, field in _model(here).model_fields.items()]


def _model(annotation: Any) -> type[BaseModel]:
    """The model inside `tuple[Annotated[Model, …], ...]` or `Model | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return _model(get_args(annotation)[0])


def _option(detail: ErrorDetails, options: Mapping[Where, str]) -> str | None:
    where = detail["loc"]
    if where in options or detail["type"] != REVERSED:
        return options.get(where)
    return next((option for key, option in options.items() if key[:-1] == where), None)
