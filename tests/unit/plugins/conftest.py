# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests of the plugins share: nothing of the machine's environment reaches the code under test, and servers that speak TLS."""

from __future__ import annotations

import os
import ssl
import typing as t

import pytest
from unit.plugins.tls_site import Site

from ansible_collections.planasonix.admin.plugins.module_utils import _transport

# Hypothesis would keep what it learns of the code in a folder in the tree. It does without where it cannot.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", os.devnull)

STRAYS = (
    "PLANASONIX_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NETRC",
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith(STRAYS):
            monkeypatch.delenv(name)


@pytest.fixture
def loads(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Files of authorities that were loaded, by whatever library; none is in the environment, and none left over from another test."""
    seen: list[str | None] = []

    class Context(ssl.SSLContext):
        def load_verify_locations(
            self, cafile: t.Any = None, capath: t.Any = None, cadata: t.Any = None
        ) -> None:
            seen.append(cafile or capath)
            super().load_verify_locations(cafile, capath, cadata)

    monkeypatch.setattr("urllib3.util.ssl_.SSLContext", Context)
    monkeypatch.setattr(_transport, "contexts", _transport.Contexts())
    return seen


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("tls"))
    with site.good, site.other_name:
        yield site
