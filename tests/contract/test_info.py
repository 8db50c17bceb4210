# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts: which subsets are read, and what becomes of those that are forbidden."""

from __future__ import annotations

from ansible_runs import WAYS, Ansible, begin, ways_against
from simulator.process import Simulator

SUBSETS = {
    "profile", "mfa", "api_keys", "session_timeout", "preferences", "settings", "ip_whitelist", "log_retention", "organization", "features", "limits", "tier",
    "notification_channels", "notification_rules",
}  # fmt: skip


def test_subsets(simulator: Simulator, ansible: Ansible, make: str) -> None:
    channel = {
        "id": "nch_01",
        "type": "email",
        "name": "On-call",
        "enabled": True,
        "config": {},
        "created_at": "2026-01-01T00:00:00Z",
    }
    rule = {
        "id": "nrl_01",
        "name": "Failures",
        "event": "pipeline.run.failed",
        "channel_ids": ["nch_01", "nch_gone"],
        "filters": {},
        "enabled": True,
    }
    info = "planasonix.admin.planasonix_info"
    outcomes = {}
    for way in ways_against(make):
        begin(simulator, make)
        simulator.set_state(
            channels=[channel], rules=[{**rule, "created_at": "2026-01-01T00:00:00Z"}]
        )
        outcomes[way] = outcome = ansible.run(
            way,
            {info: {}, "register": "everything"},
            {info: {"gather_subset": ["!profile", "!mfa"]}, "register": "most"},
            {info: {"gather_subset": ["!all", "tier"]}, "register": "one"},
            {info: {"gather_subset": ["tier", "mfa", "!mfa"]}, "register": "excluded"},
            {info: {"gather_subset": ["!all"]}, "register": "nothing"},
        )
        facts = outcome["everything"]["planasonix"]
        assert set(facts) == SUBSETS, outcome.output
        assert outcome["everything"]["unavailable"] == {}
        assert facts["features"] == ["lineage", "git_integration", "pipeline_agents", "sso"]
        assert set(facts["ip_whitelist"]) == {"enabled", "applies_to", "entries"}
        assert "feature_flags" in facts["settings"]
        assert facts["notification_rules"][0]["channels"] == ["On-call", "nch_gone"]
        assert set(outcome["most"]["planasonix"]) == SUBSETS - {"profile", "mfa"}
        assert (
            set(outcome["one"]["planasonix"]) == set(outcome["excluded"]["planasonix"]) == {"tier"}
        )
        assert outcome["nothing"]["planasonix"] == {}
        assert "diff" not in outcome["everything"]
        assert simulator.writes() == []
    for name in ("most", "one", "nothing") if make == "documented" else ():
        worker, module = (outcomes[way][name] for way in WAYS)
        assert worker.keys() == module.keys()
        assert worker.get("invocation") == module.get("invocation")
        assert worker["msg"] == module["msg"]


def test_forbidden_subsets(simulator: Simulator, ansible: Ansible, way: str) -> None:
    simulator.fault(
        "status",
        method="GET",
        path="*/api/tier",
        status=403,
        body={"code": "insufficient_scope", "message": "no"},
        times=9,
    )
    info = {"gather_subset": ["tier", "limits"]}
    outcome = ansible.run(
        way,
        {"planasonix.admin.planasonix_info": info, "register": "fail"},
        {"planasonix.admin.planasonix_info": {**info, "on_forbidden": "skip"}, "register": "skip"},
    )
    assert (outcome["fail"]["failed"], outcome["fail"]["status"]) == (True, 403)
    assert set(outcome["skip"]["planasonix"]) == {"limits"}
    assert outcome["skip"]["unavailable"]["tier"]["status"] == 403
    assert outcome["skip"]["unavailable"]["tier"]["code"] == "insufficient_scope"
    assert "tier" in outcome["skip"]["msg"]
