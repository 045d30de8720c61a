import sys

from cluster.inside import unfit

if problem := unfit():
    print(f"candlefleet: {problem}", file=sys.stderr)  # noqa: T201  # typer may be what is missing
    sys.exit(2)

from cluster.cli import main

main()
