# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a failed exchange means: the exceptions of requests and urllib3 as errors for users.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.planasonix.admin.plugins.module_utils._answers import Request
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    NoConnection,
    TimedOut,
)
from ansible_collections.planasonix.admin.plugins.module_utils._texts import one_line
from ansible_collections.planasonix.admin.plugins.module_utils._transport import (
    PastDeadline,
    TooLarge,
)

try:
    import requests
    import urllib3
except ImportError:
    pass  # the client reports what is missing

Quote = Callable[[str, int], str]
"""Returns a text as a message may show it, with a length at most."""

NO_AGREEMENT = re.compile(
    "HANDSHAKE_FAILURE|PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_SHARED_CIPHER"
    "|INSUFFICIENT_SECURITY",
    re.IGNORECASE,
)
"""What OpenSSL says where a handshake ends before anything is sent."""


@dataclass(frozen=True)
class Failure:
    """A failed exchange.

    :param retry: Whether the request may be sent again.
    """

    error: ApiError
    retry: bool = False


def explain(
    exception: Exception, request: Request, host: str, proxy: str | None, quote: Quote
) -> Failure:
    """Turn the exception of a failed exchange into an error.

    :param host: Host and port of the API, for messages.
    :param proxy: URL of the proxy that the environment names for the API.
    :param quote: Censors what the server said, which may be any of the secrets.
    """
    reason = quote(reason_of(exception), 120)
    tls_fault = _tls_fault(exception, host, reason)
    if tls_fault:
        return Failure(request.failure(tls_fault))
    if _cannot_read_authorities(exception):
        return Failure(
            request.failure(
                "the file of ca_path, or of the environment's authorities, cannot be read; "
                "give it to this user."
            )
        )
    proxy_fault = _proxy_fault(exception) if proxy else None
    if proxy_fault:
        return Failure(
            request.failure(
                f"the proxy that the environment names for {host} cannot be used: {proxy_fault}. "
                f"Correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, or name {host} in NO_PROXY.",
                NoConnection,
            )
        )
    if never_connected(exception) and proxy:
        return Failure(
            request.failure(
                f"no connection to {host} through the proxy {proxy_host(proxy)} "
                f"({reason}); check this proxy, HTTPS_PROXY, HTTP_PROXY and "
                f"ALL_PROXY, or name {host} in NO_PROXY.",
                NoConnection,
            ),
            retry=True,
        )
    if never_connected(exception):
        return Failure(
            request.failure(
                f"no connection to {host} ({reason}); "
                "check api_url, the network and proxy variables.",
                NoConnection,
            ),
            retry=True,
        )
    return _lost_answer(exception, request, host, reason)


def _lost_answer(exception: Exception, request: Request, host: str, reason: str) -> Failure:
    """Explain an exchange that failed after the request was sent, or in an unknown way."""
    what = f"{request.method} {request.path}"
    if isinstance(exception, TooLarge):
        return Failure(request.unclear(f"{host} answered {what} in too many bytes ({exception})."))
    if isinstance(exception, requests.exceptions.ContentDecodingError):
        return Failure(request.unclear(f"the answer to {what} cannot be decoded."))
    if not isinstance(
        exception,
        (
            requests.exceptions.ConnectionError,
            requests.exceptions.Timeout,
            requests.exceptions.ChunkedEncodingError,
        ),
    ):
        kind = type(exception).__name__
        return Failure(request.failure(f"{kind} for {host}; check api_url and ca_path."))
    # urllib3's error is inside where the body is what takes too long.
    late = isinstance(exception, requests.exceptions.Timeout) or isinstance(
        root_of(exception), urllib3.exceptions.ReadTimeoutError
    )
    doubt = "" if request.method == "GET" else ", so it may have taken effect or not"
    error = request.unclear(
        f"{host} gave no whole answer to {what} ({reason}){doubt}.",
        TimedOut if late else ApiError,
    )
    # Who waited for so long does not wait as long again.
    return Failure(error, retry=request.repeatable and not isinstance(exception, PastDeadline))


def _tls_fault(exception: Exception, host: str, reason: str) -> str | None:
    """Say why no TLS came about, if that is what failed."""
    is_tls = isinstance(exception, requests.exceptions.SSLError)
    behind_proxy = isinstance(exception, requests.exceptions.ProxyError)
    if not is_tls and not behind_proxy:
        return None
    text = str(exception)
    # Of a proxy also that its name is unknown, for which the system says "hostname".
    words = "certificate" if behind_proxy else "certificate|hostname"
    if re.search(words, text, re.IGNORECASE):
        whose = f"the proxy before {host}" if behind_proxy else host
        return (
            f"the TLS certificate of {whose} cannot be trusted ({reason}); "
            "set ca_path to the authority that signed it, or correct api_url."
        )
    if is_tls and "WRONG_VERSION_NUMBER" in text.upper().replace(" ", "_"):
        return f"{host} does not speak TLS; correct the port or the scheme of api_url."
    if is_tls and NO_AGREEMENT.search(text):
        return (
            f"{host} and this host agree on no version of TLS, or no cipher "
            f"({reason}); correct api_url, or update the older of them."
        )
    return None


def _cannot_read_authorities(exception: Exception) -> bool:
    """Whether a file may not be read; requests and urllib3 report a failed connection."""
    arguments: tuple[object, ...] = getattr(cause_of(exception), "args", ())
    innermost = arguments[-1] if arguments else None
    return isinstance(innermost, PermissionError) and innermost.errno == errno.EACCES


def _proxy_fault(exception: Exception) -> str | None:
    """Say what is wrong with the proxy, without its URL, which may contain a password."""
    if isinstance(exception, requests.exceptions.InvalidSchema):
        return "SOCKS needs the Python library PySocks"
    malformed = (requests.exceptions.InvalidURL, urllib3.exceptions.LocationValueError)
    if isinstance(exception, malformed):
        is_scheme = "scheme" in str(exception)
        return "its scheme is not supported" if is_scheme else "its URL is malformed"
    return None


def proxy_host(url: str) -> str:
    """Return host and port of a proxy, without the user and password before them."""
    address = url.rpartition("://")[2].rpartition("@")[2]
    return one_line(re.split("[/?#]", address)[0], 100)


def never_connected(exception: Exception) -> bool:
    """Whether nothing was sent, since no connection came about.

    With a proxy, urllib3 reports a connection that broke later in the same way.
    """
    reason = getattr(root_of(exception), "reason", None)
    if isinstance(reason, urllib3.exceptions.ProxyError):
        reason = reason.original_error
        if str(reason).startswith("Tunnel connection failed"):
            return True
    return isinstance(exception, requests.exceptions.ConnectTimeout) or isinstance(
        reason, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
    )


def root_of(exception: BaseException) -> object:
    """Return what requests wrapped: usually the error of urllib3."""
    return exception.args[0] if exception.args else exception


def cause_of(exception: BaseException) -> object:
    """Return what ended a failed exchange, within what requests wrapped."""
    root = root_of(exception)
    return getattr(root, "reason", None) or root


def reason_of(exception: BaseException) -> str:
    """Return the innermost reason in a few words, without addresses of objects.

    Whoever shows it censors it first, and shortens it then.
    """
    root = cause_of(exception)
    text = str(root.args[-1]) if isinstance(root, BaseException) and root.args else str(root)
    text = re.sub(
        r"<[^>]*object at 0x[0-9a-f]+>:? ?|\bHTTPS?Connection(Pool)?\([^)]*\):? ?", "", text
    )
    return text.strip() or type(root).__name__
