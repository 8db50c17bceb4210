# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates, over real TLS: who is trusted, and that the authorities are loaded once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import trustme
from unit.plugins.scripted_server import Drip, ScriptedServer
from unit.plugins.tls_site import Site, read, unknown_authority

from ansible_collections.planasonix.admin.plugins.module_utils import _transport
from ansible_collections.planasonix.admin.plugins.module_utils._errors import ApiError

pytestmark = pytest.mark.usefixtures("loads")


def test_an_authority_of_ca_path_or_of_the_environment_is_trusted(site, monkeypatch, tmp_path):
    assert read(site.good, ca_path=str(site.bundle)) == {"ok": True}
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        with monkeypatch.context() as patch:
            patch.setenv(name, str(site.bundle))
            assert read(site.good) == {"ok": True}
            with pytest.raises(ApiError, match="cannot be trusted"):
                read(site.good, ca_path=unknown_authority(tmp_path))


def test_a_folder_of_authorities_is_left_to_openssl(site, loads, tmp_path):
    for _number in range(2):
        with pytest.raises(ApiError, match="cannot be trusted"):
            read(site.good, ca_path=str(tmp_path))
    assert loads == [str(tmp_path)] * 2, "it looks there for what a connection needs"


@pytest.mark.parametrize("where", ["usual", "ca_path"])
def test_an_unknown_authority_and_another_name_are_refused(site, tmp_path, where):
    options = {} if where == "usual" else {"ca_path": unknown_authority(tmp_path)}
    sent = len(site.good.requests)
    with pytest.raises(
        ApiError, match=r"TLS certificate of 127\.0\.0\.1:\d+ cannot be trusted .*ca_path"
    ):
        read(site.good, **options)
    with pytest.raises(ApiError, match=r"TLS certificate of 127\.0\.0\.1:\d+ cannot be trusted"):
        read(site.other_name, ca_path=str(site.bundle))
    assert (len(site.good.requests), len(site.other_name.requests)) == (sent, 0), (
        "the key would have been sent"
    )


def test_without_validation_anything_goes_and_that_is_not_remembered(site, loads):
    assert read(site.other_name, validate_certs=False) == {"ok": True}
    assert read(site.good, ca_path=str(site.bundle)) == {"ok": True}
    assert read(site.good, validate_certs=False, ca_path=str(site.bundle)) == {"ok": True}
    with pytest.raises(ApiError, match="cannot be trusted"):
        read(site.other_name, ca_path=str(site.bundle))
    assert loads == [str(site.bundle)]


def test_authorities_are_loaded_once(site, loads, tmp_path):
    other = unknown_authority(tmp_path)
    for _number in range(3):
        assert read(site.good, ca_path=str(site.bundle)) == {"ok": True}
        with pytest.raises(ApiError):
            read(site.good, ca_path=other)
    assert loads == [str(site.bundle), other]


def test_a_file_that_changed_is_loaded_anew(site, loads, tmp_path):
    bundle = Path(unknown_authority(tmp_path))
    with pytest.raises(ApiError, match="cannot be trusted"):
        read(site.good, ca_path=str(bundle))
    before = bundle.stat()
    bundle.write_bytes(site.bundle.read_bytes())
    os.utime(bundle, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert read(site.good, ca_path=str(bundle)) == {"ok": True}
    assert loads == [str(bundle)] * 2


def test_each_thread_has_its_own(site, loads):
    threads = [
        threading.Thread(target=read, args=(site.good,), kwargs={"ca_path": str(site.bundle)})
        for _number in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [str(site.bundle)] * 2


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("proxy_speaks_tls", [False, True], ids=["http-proxy", "https-proxy"])
def test_by_way_of_a_proxy(site, loads, monkeypatch, tmp_path, proxy_speaks_tls, trusted):
    authority = trustme.CA()
    both = tmp_path / "both.pem"
    both.write_bytes(site.bundle.read_bytes() + authority.cert_pem.bytes())
    with ScriptedServer(
        tls=Site.context(authority, "127.0.0.1") if proxy_speaks_tls else None
    ) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        if trusted:
            assert read(site.good, ca_path=str(both)) == {"ok": True}
            assert [(request.method, request.path) for request in proxy.requests] == [
                ("CONNECT", site.good.url.partition("//")[2])
            ]
        else:
            with pytest.raises(
                ApiError, match=r"certificate of (the proxy before )?127\..*cannot be trusted"
            ):
                read(site.good, ca_path=unknown_authority(tmp_path))
    assert proxy_speaks_tls or len(loads) == 1


@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "proxy"])
def test_a_deadline_ends_what_comes_by_tls(site, monkeypatch, proxied):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    with ScriptedServer() as proxy:
        if proxied:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        for drip in (Drip(b"", b"H"), Drip(head, b" ")):
            site.good.script = [drip]
            with pytest.raises(ApiError, match="not complete within the deadline of 0.4 s"):
                read(site.good, ca_path=str(site.bundle), deadline=0.4)
        assert len(proxy.requests) == (2 if proxied else 0)


def test_the_name_of_a_proxy_that_speaks_tls_is_compared(site, monkeypatch, tmp_path):
    authority = trustme.CA()
    both = tmp_path / "both.pem"
    both.write_bytes(site.bundle.read_bytes() + authority.cert_pem.bytes())
    with ScriptedServer(tls=Site.context(authority, "proxy.example.com")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(ApiError, match="cannot be trusted|no connection|no whole answer"):
            read(site.good, ca_path=str(both))
        assert proxy.requests == []


def test_no_context_is_shared_where_requests_has_its_own(site, loads, monkeypatch):
    """It would put it in the place of ours, and trust others than ca_path says."""
    monkeypatch.setattr(_transport, "OWN_CONTEXT", True)
    for _number in range(2):
        assert read(site.good, ca_path=str(site.bundle)) == {"ok": True}
    assert loads == [str(site.bundle)] * 2
