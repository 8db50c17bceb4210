# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rehearsal before Ansible forks: it goes all the way, and nowhere else."""

from __future__ import annotations

import socket

import pytest
from unit.plugins.tls_site import read

from ansible_collections.planasonix.admin.plugins.filter.baseline_controls import read_profile
from ansible_collections.planasonix.admin.plugins.module_utils import _client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import ApiError
from ansible_collections.planasonix.admin.plugins.plugin_utils._rehearsal import rehearse, rehearse_profiles


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Connections that were tried; each is refused."""
    tried: list[object] = []

    def connect(_self: socket.socket, address: object) -> None:
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return tried


@pytest.mark.parametrize("proxy", [None, "http://proxy.example.com:3128"], ids=["direct", "proxy"])
def test_it_reads_an_answer_and_connects_to_nothing(no_network, monkeypatch, proxy):
    if proxy:
        monkeypatch.setenv("http_proxy", proxy)
    result = rehearse()
    assert (result.get("failed"), result.get("rehearsal")) == (None, {})
    assert no_network == []


def test_without_requests_there_is_none(monkeypatch):
    monkeypatch.setattr(_client, "REQUESTS_IMPORT_ERROR", "Traceback")
    assert rehearse()["failed"]


@pytest.mark.parametrize("variable", [None, "REQUESTS_CA_BUNDLE", "PLANASONIX_CA_PATH"], ids=["usual", "environment", "ca_path"])
def test_it_loads_the_certificate_authorities_for_the_tasks(site, loads, monkeypatch, variable):
    if variable:
        monkeypatch.setenv(variable, str(site.bundle))
    assert "failed" not in rehearse()
    assert len(loads) == 1
    options = {"ca_path": str(site.bundle)} if variable == "PLANASONIX_CA_PATH" else {}
    if variable:
        assert read(site.good, **options) == {"ok": True}
    else:
        with pytest.raises(ApiError, match="cannot be trusted"):
            read(site.good)
    assert len(loads) == 1


def test_the_profiles_of_the_collection_are_read_by_the_filter_of_its_roles():
    foundation, strict = rehearse_profiles()
    assert {control["id"] for control in foundation} < {control["id"] for control in strict}
    before = read_profile.cache_info()
    rehearse_profiles()
    after = read_profile.cache_info()
    assert (after.hits - before.hits, after.misses) == (2, before.misses)
