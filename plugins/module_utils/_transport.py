# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections: their options, their deadline, the authorities that they trust, and whole answers.

The timeout of a socket counts from one received piece to the next, so a server that sends a byte
a second could keep a task for ever. Here each receive waits no longer than the deadline allows.

requests loads the certificate authorities again for each connection, and the usual bundle takes
longer to load than all else that a task does. Here the connections of one thread share them, and a
worker of Ansible finds them loaded, as they were before it was forked.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import ipaddress
import os
import re
import threading
import time
import typing as t
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption

if t.TYPE_CHECKING:
    import ssl

OWN_CONTEXT = False
"""Whether it is a version of requests, 2.32.0 to 2.32.4, that shares a context itself."""
try:
    import requests
    import urllib3
    from requests import adapters
    from requests.adapters import HTTPAdapter
    from requests.exceptions import ContentDecodingError, ReadTimeout, RequestException
    from requests.utils import DEFAULT_CA_BUNDLE_PATH
    from urllib3.util.ssl_ import create_urllib3_context

    BaseSession = requests.Session
    OWN_CONTEXT = hasattr(adapters, "_preloaded_ssl_context")
except ImportError:  # the client reports what is missing
    BaseSession = HTTPAdapter = object  # type: ignore[assignment,misc]
    ContentDecodingError = ReadTimeout = RequestException = OSError  # type: ignore[assignment,misc]

MEBIBYTE = 1024 * 1024
MAXIMUM_SIZE = 32 * MEBIBYTE
"""The most bytes of a successful answer, unpacked."""
MAXIMUM_LIST_SIZE = 2 * MAXIMUM_SIZE
"""The most bytes of all pages of a list, unpacked."""
MAXIMUM_RECEIVED = 2 * MAXIMUM_SIZE
"""The most bytes of one answer as it is sent, its headers and the frames of its pieces included."""
MAXIMUM_ERROR_SIZE = 64 * 1024
"""The bytes of any other answer that are read; its reason stands at the beginning."""
PIECE = 16 * 1024
"""Bytes that are received and unpacked at once: gzip makes at most 1,032 times as many of them."""
ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
"""What is asked for. Others could unpack a piece to any size, as could one inside another."""
LONGEST_WAIT = 86_400
"""The most seconds that an option may name: a day, which clocks and sockets can count."""

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Connection:
    """Where the API is, and how patiently to talk to it.

    :param url: Base URL, may end in a path prefix.
    :param key: API key, sent as a Bearer token.
    :param validate_certs: Whether the server's certificate is checked.
    :param ca_path: File or folder of certificate authorities to trust instead of the default ones.
    :param timeout: Seconds to connect, and between two pieces of an answer.
    :param deadline: Seconds for one request as a whole, redirects included.
    :param retries: How often one request is repeated at the most.
    :param retry_budget: Seconds that all pauses between attempts may take together.
    :raises InvalidOption: if a value cannot be used.
    """

    url: str
    key: str
    validate_certs: bool = True
    ca_path: str | None = None
    timeout: float = 30
    retries: int = 5
    retry_budget: float = 120
    deadline: float = 120

    def __post_init__(self) -> None:
        check_url(self.url)
        if not self.key:
            raise InvalidOption(
                "api_key is empty: set the option or the environment variable PLANASONIX_API_KEY."
            )
        if not re.fullmatch(r"[\x21-\x7e]+", self.key):
            raise InvalidOption(
                "api_key holds a space, a line break or another character that no API key has; "
                "is there a line break at its end?"
            )
        for name, value in (("timeout", self.timeout), ("deadline", self.deadline)):
            if not 0 < value <= LONGEST_WAIT:
                raise InvalidOption(
                    f"{name} must be greater than 0 seconds, and at most {LONGEST_WAIT}."
                )
        if self.retries < 0 or not 0 <= self.retry_budget <= LONGEST_WAIT:
            raise InvalidOption(
                "retries and retry_budget must not be negative, "
                f"and retry_budget at most {LONGEST_WAIT} seconds."
            )


def check_url(url: str) -> None:
    """Refuse a base URL that would send the key in the clear or that is no base URL.

    :raises InvalidOption: with the reason.
    """
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise InvalidOption(
            "api_url must be a URL such as https://api.planasonix.com, "
            "optionally with a path prefix."
        )
    if parts.username is not None or parts.password is not None:
        raise InvalidOption(
            "api_url must not hold a user name or password; the API key goes in api_key."
        )
    if "?" in url or "#" in url:
        raise InvalidOption("api_url must not have a query or a fragment; give the base URL alone.")
    if parts.scheme == "http" and not is_loopback(host):
        raise InvalidOption(
            f"api_url is plain http:// to {host}, which would send the API key unencrypted; "
            "use https://."
        )


def is_loopback(host: str) -> bool:
    """Whether the host, a name or an address, is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True)
class Target:
    """Where a link in an answer leads to.

    :param url: The whole URL.
    :param same_origin: Whether it is at the server that gave the link.
    :param shown: What messages may quote of it: no query.
    """

    url: str
    same_origin: bool
    shown: str


def resolve(base: str, link: str) -> Target:
    """Return where a link leads to from the URL of the answer; one that is no URL leads away."""
    try:
        url = urljoin(base, link)
        parts = urlsplit(url)
        same_origin = _origin(url) == _origin(base)
    except ValueError:
        return Target(link, False, link)
    return Target(url, same_origin, f"{parts.scheme}://{parts.netloc}{parts.path}")


def _origin(url: str) -> str:
    """Return scheme, host and port, by which two URLs belong to the same server.

    :raises ValueError: if the URL cannot be read.
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or DEFAULT_PORTS.get(parts.scheme)}"


_end: ContextVar[float] = ContextVar("planasonix_deadline", default=float("inf"))


class PastDeadline(ReadTimeout):
    """The deadline of a request passed before its answer was complete."""


class TooLarge(RequestException):
    """A successful answer is larger than ``MAXIMUM_SIZE``."""


@dataclass(frozen=True)
class Answer:
    """An answer that was read to its end, or, if it is an error, as far as needed."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        """The beginning of the content as text, for messages.

        It is UTF-8, unless the header names another character set.
        """
        kind = self.headers.get("Content-Type", "")
        charset = requests.utils.get_encoding_from_headers({"content-type": kind})
        if "charset" not in kind.lower() or not charset:
            charset = "utf-8"
        start = self.content[:MAXIMUM_ERROR_SIZE]
        try:
            return start.decode(charset, "replace")
        except (LookupError, ValueError):
            return start.decode("utf-8", "replace")


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[t.Callable[[], float]]:
    """Let all connections of this thread stop waiting after a number of seconds.

    :returns: A function that returns how many seconds are left, and at least a millisecond.
    :raises PastDeadline: if an exchange inside fails once they have passed.
    """
    end = time.monotonic() + seconds
    token = _end.set(end)
    try:
        yield lambda: max(end - time.monotonic(), 0.001)
    except ReadTimeout:
        if time.monotonic() < end:
            raise
        raise PastDeadline(f"not complete within the deadline of {seconds:g} s") from None
    except requests.exceptions.ConnectionError as error:
        # A body that takes too long is one, with the timeout inside.
        late = error.args and isinstance(error.args[0], urllib3.exceptions.ReadTimeoutError)
        if not late or time.monotonic() < end:
            raise
        raise PastDeadline(f"not complete within the deadline of {seconds:g} s") from None
    finally:
        _end.reset(token)


class TimedReader(io.RawIOBase):
    """Receives from a socket, each time for as long as its timeout and the deadline allow.

    urllib3 before 2.8 keeps a line of any length that frames a piece of an answer.
    """

    def __init__(self, sock: t.Any) -> None:
        self.sock = sock
        self.received = 0
        self.timeout: float = sock.gettimeout() or float("inf")
        self.end = _end.get()
        self.source = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self.source.fileno())

    def readinto(self, buffer: t.Any) -> int | None:
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline passed")
        if left < self.timeout:
            self.sock.settimeout(left)
        if self.received > MAXIMUM_RECEIVED:
            raise OSError(f"more than {MAXIMUM_RECEIVED // MEBIBYTE} MiB were sent")
        count = t.cast("int | None", self.source.readinto(buffer))
        self.received += count or 0
        return count

    def close(self) -> None:
        self.source.close()
        super().close()


class TimedSocket:
    """Gives ``http.client`` a file to read from, which is all that it asks a socket for."""

    def __init__(self, sock: t.Any) -> None:
        self.sock = sock

    def makefile(self, *dummy: t.Any, **dummy_options: t.Any) -> io.BufferedReader:
        """Return a buffer over the socket."""
        return io.BufferedReader(TimedReader(self.sock))


def timed_response(sock: t.Any, **options: t.Any) -> http.client.HTTPResponse:
    """Begin to read an answer, also one of a proxy, within the deadline."""
    return http.client.HTTPResponse(t.cast(t.Any, TimedSocket(sock)), **options)


@functools.cache
def timed_pool(kind: t.Any) -> t.Any:
    """Derive a kind of pool whose connections keep the deadline.

    Its names stay the same, as they stand in messages of urllib3.
    """
    connection = kind.ConnectionCls
    timed = type(
        connection.__name__, (connection,), {"response_class": staticmethod(timed_response)}
    )
    return type(kind.__name__, (kind,), {"ConnectionCls": timed})


class TimedAdapter(HTTPAdapter):
    """Makes connections that keep the deadline."""

    def init_poolmanager(self, *args: t.Any, **options: t.Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **options)
        use_timed_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: t.Any) -> t.Any:
        """Make the pools of connections by way of a proxy."""
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **options)
        if not known:
            use_timed_pools(manager)
        return manager


def use_timed_pools(manager: t.Any) -> None:
    """Replace the kinds of pools of a manager, those for SOCKS proxies included."""
    kinds = manager.pool_classes_by_scheme.items()
    manager.pool_classes_by_scheme = {scheme: timed_pool(kind) for scheme, kind in kinds}


class Session(BaseSession):
    """A session that leaves redirects alone; requests would read their bodies to the end."""

    def get_redirect_target(self, dummy_response: t.Any) -> None:
        """Follow nothing."""


def read_answer(response: requests.Response) -> Answer:
    """Read an answer and unpack it, piece by piece.

    :raises TooLarge: if a success is larger than ``MAXIMUM_SIZE``. Other answers are cut.
    :raises requests.exceptions.RequestException: if it breaks off or cannot be unpacked.
    """
    failed = response.status_code >= 300
    limit = MAXIMUM_ERROR_SIZE if failed else MAXIMUM_SIZE
    content = bytearray()
    try:
        if response.headers.get("Content-Encoding", "").strip().lower() not in ENCODINGS:
            raise ContentDecodingError("the answer is packed in a way that was not asked for")
        for piece in response.iter_content(PIECE):
            content += piece
            if len(content) > limit:
                response.close()
                break
        else:
            check_complete(response, len(content))
    except ContentDecodingError:
        response.close()
        if not failed:
            raise
    if len(content) > limit and not failed:
        raise TooLarge(f"the answer is larger than {MAXIMUM_SIZE // MEBIBYTE} MiB")
    del content[limit:]  # in place, as a copy would take as much again
    return Answer(response.status_code, response.headers, bytes(content))


def check_complete(response: requests.Response, size: int) -> None:
    """Compare the size of a body with its header, as urllib3 before 2.0 does not.

    :raises requests.exceptions.ChunkedEncodingError: if the body broke off.
    """
    length = response.headers.get("Content-Length", "")
    known = re.fullmatch(r"[0-9]{1,15}", length) and "Content-Encoding" not in response.headers
    if known and size < int(length):
        raise requests.exceptions.ChunkedEncodingError("the body of the answer broke off")


def check_authorities(verify: bool | str | None) -> None:
    """Refuse a pipe or device as file of authorities: reading it could take for ever.

    :raises InvalidOption: with the path.
    """
    if not isinstance(verify, str) or not os.path.exists(verify):
        return
    if not os.path.isfile(verify) and not os.path.isdir(verify):
        raise InvalidOption(
            f"{verify}, which ca_path or REQUESTS_CA_BUNDLE names, is neither a file nor a "
            "folder; name the PEM file of the authority."
        )


class TrustingAdapter(TimedAdapter):
    """Verifies certificates by a context, whatever file of authorities requests names."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        super().__init__()

    def init_poolmanager(self, *args: t.Any, **options: t.Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **options, ssl_context=self.context)

    def proxy_manager_for(self, proxy: str, **options: t.Any) -> t.Any:
        """Make the pools of connections by way of a proxy that does not speak TLS itself."""
        return super().proxy_manager_for(proxy, **options, ssl_context=self.context)

    def cert_verify(self, conn: t.Any, *dummy: t.Any, **dummy_options: t.Any) -> None:
        """Demand a certificate, and name no file of authorities, which would be loaded."""
        conn.cert_reqs = "CERT_REQUIRED"


class Contexts(threading.local):
    """Contexts by file of authorities, of one thread.

    urllib3 sets the protocols that it offers on the context at each connection, and OpenSSL must
    not copy them for another thread meanwhile. A forked process goes on with those of the thread
    that forked it.
    """

    def __init__(self) -> None:
        self.loaded: dict[tuple[str, int, int], ssl.SSLContext] = {}

    def get(self, path: str) -> ssl.SSLContext:
        """The context that trusts the authorities in a file, as it is now.

        :raises OSError: if there is no such file, or no certificate in it.
        """
        state = os.stat(path)
        key = (path, state.st_mtime_ns, state.st_size)
        if key not in self.loaded:
            context = create_urllib3_context()
            context.load_verify_locations(cafile=path)
            self.loaded[key] = context
        return self.loaded[key]


contexts = Contexts()


def make_adapter(
    verify: bool | str | None, proxies: t.Iterable[str] = ()
) -> TrustingAdapter | None:
    """An adapter with the authorities that requests' ``verify`` stands for.

    :param verify: ``True`` for the usual bundle, or the path of a file or folder.
    :param proxies: URLs of the proxies that may be used.
    :returns: ``None`` where requests itself is to do it: it verifies nothing, it opens of a folder
        what it needs, or it says what is wrong with the file. With a proxy that speaks TLS, urllib3
        before 2.0 would not compare that one's name. Some versions of requests put a context of
        their own, with the usual bundle, in the place of any other.
    """
    if OWN_CONTEXT or any(proxy.lower().startswith("https:") for proxy in proxies):
        return None
    path = DEFAULT_CA_BUNDLE_PATH if verify is True else verify
    if not path or os.path.isdir(path):
        return None
    try:
        return TrustingAdapter(contexts.get(path))
    except OSError:
        return None
