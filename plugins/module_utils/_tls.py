# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The certificate authorities that connections trust, loaded once.

requests loads them for each connection anew, and the usual bundle takes longer to load than all else that a task does. Here a worker of Ansible finds them
loaded, as they were before it was forked, and the connections of one thread share them.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import os
import threading
import typing as t

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._transport import TimedAdapter

if t.TYPE_CHECKING:
    import ssl

OWN_CONTEXT = False
"""Whether it is a version of requests, 2.32.0 to 2.32.4, that shares a context itself."""

try:
    from requests import adapters
    from requests.utils import DEFAULT_CA_BUNDLE_PATH
    from urllib3.util.ssl_ import create_urllib3_context

    OWN_CONTEXT = hasattr(adapters, "_preloaded_ssl_context")
except ImportError:
    pass  # the client reports what is missing


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

    urllib3 sets the protocols that it offers on the context at each connection, and OpenSSL must not copy them for another thread meanwhile.
    A forked process goes on with those of the thread that forked it.
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


def trusting_adapter(
    verify: bool | str | None, proxies: t.Iterable[str] = ()
) -> TrustingAdapter | None:
    """An adapter with the authorities that requests' ``verify`` stands for.

    :param verify: ``True`` for the usual bundle, or the path of a file or folder.
    :param proxies: URLs of the proxies that may be used.
    :returns: ``None`` where requests itself is to do it: it verifies nothing, it opens of a folder what it needs, or it says what is wrong with the file.
        With a proxy that speaks TLS, urllib3 before 2.0 would not compare that one's name. Some versions of requests put a context of their own, with the
        usual bundle, in the place of any other.
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
