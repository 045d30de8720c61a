"""An answer as a file, or as text."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from actors.market.errors import UsageError
from cluster.export import appearing, refuse_place
from cluster.screen.answer import Answer
from cluster.screen.drawing import Drawing


class Form(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"
    HTML = "html"


if TYPE_CHECKING:
    from actors.writer.reading import Store

#: Key of a Parquet file's metadata under which `Answer.facts` stand.
METADATA = b"candlefleet.screen"


def refuse(form: Form, out: Path | None, store: Store, *, overwrite: bool) -> None:
    """Raises UsageError for what cannot be written there, before anything is asked."""
    if out is not None and form is Form.TABLE:
        raise UsageError("a table is for reading here; choose another --format", "--out")
    if out is None and form in (Form.PARQUET, Form.HTML):
        raise UsageError(f"says where the {form} file goes", "--out")
    if out is not None:
        refuse_place(out, store, overwrite=overwrite)


def text(answer: Answer, form: Form) -> str:
    """JSON on one line, or CSV with a header."""
    if form is Form.JSON:
        return json.dumps(answer.as_dict(), ensure_ascii=False)
    return _csv(answer)


def save(answer: Answer, form: Form, out: Path, drawings: Sequence[Drawing] = ()) -> None:
    """The file appears only when it is complete. Raises UsageError where it cannot be written.

    `drawings` are for a page.
    """
    with appearing(out) as stream:
        if form is Form.PARQUET:
            facts = {METADATA: json.dumps(answer.facts()).encode()}
            pq.write_table(answer.to_arrow().replace_schema_metadata(facts), stream)
        elif form is Form.HTML:
            from cluster.screen.page import page

            stream.write(page(answer, drawings).encode())
        else:
            stream.write(f"{text(answer, form)}\n".encode())


def _csv(answer: Answer) -> str:
    """Stamps as text, `2024-01-31T09:15:00+05:30`."""
    matches = answer.to_arrow()
    stamps = pa.array([match.ts.isoformat() for match in answer.matches], pa.string())
    matches = matches.set_column(matches.column_names.index("ts"), "ts", stamps)
    written = io.BytesIO()
    pacsv.write_csv(matches, written)
    return written.getvalue().decode().rstrip("\n")
