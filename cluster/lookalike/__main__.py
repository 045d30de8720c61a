from __future__ import annotations

import json
import sys

from cluster.lookalike.launch import serve
from cluster.lookalike.settings import read_argv


def _announce(address: str) -> None:
    sys.stdout.write(json.dumps({"base_url": address, "assets_url": address}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve(read_argv(), _announce)
