from __future__ import annotations

import socket

import pytest

from actors.market.errors import UsageError
from cluster.address import place_of, reach


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("10.0.0.5:6379", ("10.0.0.5", 6379)),
        ("[::1]:65535", ("::1", 65535)),
        ("head.example:0", ("head.example", 0)),
        ("auto", None),
    ],
)
def test_an_address_is_a_host_and_a_port_or_left_to_ray(
    address: str, place: tuple[str, int] | None
) -> None:
    assert place_of(address) == place


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("nonsense", "^--address: 'nonsense' is no cluster's address; write HOST:PORT"),
        ("", "'' is no cluster's address"),
        (":6379", "is no cluster's address"),
        ("h:x", "is no cluster's address"),
        ("h:65536", "is no cluster's address"),
        ("h:²", "is no cluster's address"),
        ("ray://h:10001", "is Ray's client's address"),
        ("http://h:8265", "is a dashboard's address"),
    ],
)
def test_what_is_no_address_is_refused_with_what_to_write(address: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        reach(address)


def test_an_address_is_reached_while_somebody_listens_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        reach(address)
    with pytest.raises(UsageError, match=f"^--address: no Ray cluster answers at {address}: "):
        reach(address)


def test_what_cannot_be_a_hosts_name_is_not_reached() -> None:
    with pytest.raises(UsageError, match="no Ray cluster answers at a..b:1: "):
        reach("a..b:1")
