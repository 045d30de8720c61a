from __future__ import annotations

import ast


class Misread(Exception):
    """What is wrong with an expression, and with which part of it. Becomes a UsageError at the door."""

    def __init__(self, problem: str, node: ast.expr | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.node = node

    def placed(self, text: str) -> str:
        """The problem, and where in `text` it is."""
        if self.node is None:
            return self.problem
        piece = ast.get_source_segment(text, self.node) or ""
        column = len(text.encode()[: self.node.col_offset].decode(errors="ignore")) + 1
        return f"column {column}, `{shortened(piece)}`: {self.problem}"


def shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
