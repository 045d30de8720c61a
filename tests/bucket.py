"""A bucket on loopback that speaks S3's protocol and is strict about keys, signatures and conditions.

A process of its own: the engine holds the interpreter's lock in some of its calls, so a server in
another thread would never answer them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NAME = "candles"


@dataclass(frozen=True)
class Bucket:
    url: str
    key: str
    secret: str

    @property
    def environment(self) -> dict[str, str]:
        """All that a client needs. Plain http needs no permission: this is loopback."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
        }


@contextmanager
def run_bucket(*options: str) -> Iterator[Bucket]:
    """With `careless` it overlooks signatures, and as some stores do the conditions of writes."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.bucket", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    with server:  # it ends when its stdin does
        yield Bucket(**json.loads(server.stdout.readline()))


def serve(careless: bool) -> None:
    from moto import settings
    from moto.iam.models import iam_backends
    from moto.s3.models import s3_backends
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Connection(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept

        def log_request(self, *_arguments):
            pass

    moto, one_at_a_time = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def application(environ, start_response):
        if careless:
            environ.pop("HTTP_IF_NONE_MATCH", None)
        with (
            one_at_a_time
        ):  # as S3 itself, looks whether an object is there and writes it in one step
            return moto(environ, start_response)

    settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf") if careless else 0
    account = "123456789012"
    s3_backends[account]["aws"].create_bucket(NAME, "us-east-1")
    users = iam_backends[account]["aws"]
    users.create_user("us-east-1", "candlefleet")
    everything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [everything]}
    users.put_user_policy("candlefleet", "all", json.dumps(policy))
    key = users.create_access_key("candlefleet")

    options = {"threaded": True, "request_handler": Connection}
    server = make_server("127.0.0.1", 0, application, **options)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.port}"
    facts = {"url": url, "key": key.access_key_id, "secret": key.secret_access_key}
    print(json.dumps(facts), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve(careless="careless" in sys.argv[1:])
