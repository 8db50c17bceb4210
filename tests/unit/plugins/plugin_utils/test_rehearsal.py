# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rehearsal before Ansible forks: it goes all the way, and nowhere else."""

from __future__ import annotations

import socket
import warnings
from pathlib import Path
from unittest import mock

import pytest
from unit.plugins.tls_site import read

from ansible_collections.planasonix.admin.plugins.filter.baseline_controls import (
    baseline_controls,
    read_profile,
)
from ansible_collections.planasonix.admin.plugins.module_utils import _client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import ApiError
from ansible_collections.planasonix.admin.plugins.modules.planasonix_baseline import MODULE
from ansible_collections.planasonix.admin.plugins.plugin_utils._rehearsal import (
    before_fork,
    rehearse,
    rehearse_baseline,
)

PROFILES = Path(__file__).resolve().parents[4] / "roles" / "org_baseline" / "files"


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


def test_what_the_environment_turns_off_is_turned_off_for_nobody_else(monkeypatch):
    monkeypatch.setenv("PLANASONIX_VALIDATE_CERTS", "false")
    before = list(warnings.filters)
    before_fork(rehearse)
    assert warnings.filters == before


def test_without_requests_there_is_none(monkeypatch):
    monkeypatch.setattr(_client, "REQUESTS_IMPORT_ERROR", "Traceback")
    assert rehearse()["failed"]


@pytest.mark.parametrize(
    "variable",
    [None, "REQUESTS_CA_BUNDLE", "PLANASONIX_CA_PATH"],
    ids=["usual", "environment", "ca_path"],
)
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


def test_the_baseline_goes_through_all_of_an_audit_and_keeps_the_profiles(no_network):
    result = rehearse_baseline(MODULE)
    assert (result.get("failed"), no_network) == (None, [])
    strict = baseline_controls(str(PROFILES / "strict.yml"))
    assert [control["id"] for control in result["controls"]] == [
        control["id"] for control in strict
    ]
    before = read_profile.cache_info()
    rehearse_baseline(MODULE)
    after = read_profile.cache_info()
    assert (after.hits - before.hits, after.misses) == (2, before.misses)


def test_what_is_there_before_the_fork_is_left_alone_by_the_garbage_collector(monkeypatch):
    frozen = mock.Mock()
    monkeypatch.setattr("gc.freeze", frozen)

    def broken() -> None:
        raise ValueError

    for platform, times in (("darwin", 0), ("linux", 1)):
        monkeypatch.setattr("sys.platform", platform)
        before_fork(broken)
        assert frozen.call_count == times
