# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections that keep a deadline, and answers of a bounded size.

The timeout of a socket counts from one received piece to the next, so a server that sends a byte
a second could keep a task for ever. Here each receive waits no longer than the deadline allows.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import re
import time
import typing as t
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass

try:
    import requests
    import urllib3
    from requests.adapters import HTTPAdapter
    from requests.exceptions import ContentDecodingError, ReadTimeout, RequestException

    BaseSession = requests.Session
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
