# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the connection, and the checks that keep the API key safe.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption

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
