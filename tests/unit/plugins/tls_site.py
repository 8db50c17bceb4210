# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers with certificates of an authority that no machine knows, and a client that reads from them."""

from __future__ import annotations

import ssl
import typing as t
from pathlib import Path

import trustme
from unit.plugins.scripted_server import ScriptedServer

from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._transport import Connection


class Site:
    """Two servers, one with a certificate for its address and one with that of another host, and the file of their authority."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.bundle = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.bundle))
        self.good, self.other_name = (
            ScriptedServer(tls=self.context(authority, name))
            for name in ("127.0.0.1", "api.example.com")
        )

    @staticmethod
    def context(authority: trustme.CA, name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context


def read(server: ScriptedServer, **options: t.Any) -> object:
    with Client(Connection(server.url, "plnx_live_key", retries=0, **options)) as client:
        return client.get("/api/thing", "read the thing")


def unknown_authority(folder: Path) -> str:
    path = folder / "unknown.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return str(path)
