from __future__ import annotations

import json
import logging
from io import StringIO
from pathlib import Path

from rich.console import Console

from cluster.logs import JsonLines, aloud

NASTY = "[/red] \x1b]0;title\x07 :smile:"


def test_what_others_wrote_is_shown_as_it_is_and_commands_no_terminal() -> None:
    paper = StringIO()
    log = logging.getLogger("cluster.any")
    with aloud(Console(file=paper, width=200, emoji=False, force_terminal=True, color_system=None)):
        log.warning("any.trouble", extra={"error": NASTY})
    shown = paper.getvalue()
    assert "\x1b" not in shown
    assert "[/red] \N{REPLACEMENT CHARACTER}]0;title\N{REPLACEMENT CHARACTER} :smile:" in shown


def test_a_line_of_the_file_is_one_object_with_the_words_as_they_came(tmp_path: Path) -> None:
    record = logging.makeLogRecord({"msg": "chunk.lost", "levelname": "INFO", "reason": NASTY})
    line = JsonLines().format(record)
    assert "\n" not in line
    assert "\x1b" not in line
    told = json.loads(line)
    assert (told["event"], told["level"], told["reason"]) == ("chunk.lost", "info", NASTY)
