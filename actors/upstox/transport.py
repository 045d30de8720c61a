"""requests' sessions, made to obey deadlines, to follow nothing, and to repeat nothing."""

from __future__ import annotations

import queue
import socket
import threading
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from actors.upstox.deadline import Deadline, Line

#: No time at all would mean not to wait, and a different error.
_LEAST_S = 0.001


class _Guarded(HTTPConnection):
    """A connection that the deadline of the request it carries can cut."""

    _line: Line | None = None

    def _new_conn(self) -> socket.socket:
        deadline = Deadline.current()
        try:
            connection = _connect(self._dns_host, self.port, deadline, self.socket_options or ())
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "no connection in time") from error
        except (OSError, UnicodeError) as error:
            raise NewConnectionError(self, str(error)) from error
        connection.settimeout(max(deadline.left_s, _LEAST_S))
        self._line = Line(connection)
        deadline.guard(self._line)
        return connection

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self._line is not None:
            Deadline.current().guard(self._line)
        super().request(*args, **kwargs)

    def close(self) -> None:
        # A response may still be read from it (`Connection: close`): the deadline keeps the line.
        self._line = None
        super().close()


class _GuardedTLS(_Guarded, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Guarded


class _PoolTLS(HTTPSConnectionPool):
    ConnectionCls = _GuardedTLS


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _guard(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        if proxy.lower().startswith("socks"):
            # It would open connections in its own way, which no deadline reaches.
            raise requests.exceptions.InvalidProxyURL("SOCKS proxies are not supported")
        manager = super().proxy_manager_for(proxy, **kwargs)
        _guard(manager)
        return manager


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Follow none. `allow_redirects=False` alone would still read the body to its end."""


def open_session(url: str, headers: dict[str, str], *, proxied: bool) -> requests.Session:
    """Open a session for one thread and one host.

    Proxies and certificates are taken from the environment, passwords (netrc) are not.
    """
    session = _Session()
    session.headers.clear()
    session.headers.update(headers)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    # No retries: a request that is sent again behind our back has no permit.
    adapter = _Adapter(pool_connections=1, pool_maxsize=1, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    found = session.merge_environment_settings(url, {}, stream=True, verify=None, cert=None)
    session.verify = found["verify"]
    if proxied:
        session.proxies.update(found["proxies"])
    session.trust_env = False  # all it has to say has been said
    return session


def _guard(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _PoolTLS}


def _connect(host: str, port: int, deadline: Deadline, options: Any) -> socket.socket:
    """Try the host's addresses in turn; together they have the time that is left."""
    addresses = _look_up(host.strip("[]"), port, deadline.left_s)
    failure: OSError = OSError(f"{host} has no address")
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        left_s = deadline.left_s
        if not left_s:
            raise TimeoutError
        connection = socket.socket(family, kind, protocol)
        try:
            for option in options:
                connection.setsockopt(*option)
            connection.settimeout(left_s / (len(addresses) - tried))
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


def _look_up(host: str, port: int, within_s: float) -> list[Any]:
    """Look the host up, in a thread of its own: a resolver that hangs cannot be interrupted."""
    answers: queue.SimpleQueue[list[Any] | OSError | UnicodeError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, name="look-up", daemon=True).start()
    try:
        answer = answers.get(timeout=within_s)
    except queue.Empty:
        raise TimeoutError(f"looking up {host} took too long") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
