# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The warm-up before Ansible forks: what it does, and that it sends nothing."""

from __future__ import annotations

import socket
import warnings
from pathlib import Path
from unittest import mock

import pytest
from ansible.release import __version__
from unit.plugins.tls_site import read

from ansible_collections.planasonix.admin.plugins.filter.baseline_controls import (
    baseline_controls,
    read_profile,
)
from ansible_collections.planasonix.admin.plugins.module_utils._errors import ApiError
from ansible_collections.planasonix.admin.plugins.plugin_utils._warmup import (
    convert_result,
    read_profiles,
    run_empty_module,
    warm_up,
)

CORE = tuple(map(int, __version__.split(".")[:2]))
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
def test_it_runs_a_module_and_connects_to_nothing(no_network, monkeypatch, proxy):
    if proxy:
        monkeypatch.setenv("https_proxy", proxy)
    result = run_empty_module()
    assert "failed" not in result and result["invocation"]["module_args"]["api_key"]
    assert no_network == []


def test_what_the_environment_turns_off_is_turned_off_for_nobody_else(monkeypatch):
    monkeypatch.setenv("PLANASONIX_VALIDATE_CERTS", "false")
    before = list(warnings.filters)
    warm_up(run_empty_module)
    assert warnings.filters == before


@pytest.mark.parametrize(
    "variable",
    [None, "REQUESTS_CA_BUNDLE", "PLANASONIX_CA_PATH"],
    ids=["usual", "environment", "ca_path"],
)
def test_it_loads_the_certificate_authorities_for_the_tasks(site, loads, monkeypatch, variable):
    if variable:
        monkeypatch.setenv(variable, str(site.bundle))
    assert "failed" not in run_empty_module()
    assert len(loads) == 1
    options = {"ca_path": str(site.bundle)} if variable == "PLANASONIX_CA_PATH" else {}
    if variable:
        assert read(site.good, **options) == {"ok": True}
    else:
        with pytest.raises(ApiError, match="cannot be trusted"):
            read(site.good)
    assert len(loads) == 1


def test_the_profiles_are_read_once():
    """Tasks find what the filter kept."""
    profiles = read_profiles()
    strict = baseline_controls(str(PROFILES / "strict.yml"))
    assert profiles[-1] == strict
    before = read_profile.cache_info()
    read_profiles()
    after = read_profile.cache_info()
    assert (after.hits - before.hits, after.misses) == (2, before.misses)


@pytest.mark.skipif(CORE < (2, 21), reason="this ansible-core does not convert results")
def test_a_result_is_converted():
    """The warm-up passes over a step that fails, for example if ansible-core drops what it uses."""
    convert_result()


def test_the_garbage_collector_leaves_alone_what_workers_share(monkeypatch):
    frozen = mock.Mock()
    monkeypatch.setattr("gc.freeze", frozen)

    def broken() -> None:
        raise ValueError

    for platform, times in (("darwin", 0), ("linux", 1)):
        monkeypatch.setattr("sys.platform", platform)
        warm_up(broken)
        assert frozen.call_count == times
