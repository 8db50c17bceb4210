# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet some of which is in trouble: the audit ends, with a report of all."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from ansible_runs import told
from fleet import Fleet, recap
from simulator.process import Simulator

ORGANIZATIONS = 12
RETRIES = 2


def test_dead_keys_rate_limits_and_hanging_organizations(tmp_path: Path) -> None:
    """One request and its retries is all that an organization is asked for that will not answer the next one either."""
    with Simulator(ORGANIZATIONS) as simulator:
        bounds = {
            "planasonix_timeout": 0.5,
            "planasonix_retries": RETRIES,
            "planasonix_retry_budget": 2,
        }
        fleet = Fleet(simulator, tmp_path, {"org_baseline_profile": "foundation", **bounds})
        _well, dead, limited, hanging, unavailable = simulator.slugs[:5]
        # The server keeps what it was asked although nobody waits for its answer any more, so it must end before the next test.
        simulator.fault("stall", organization=hanging, seconds=3, times=None)
        simulator.fault(
            "status",
            organization=limited,
            status=429,
            retry_after="seconds",
            seconds=3600,
            times=None,
        )
        simulator.fault(
            "status", organization=unavailable, status=503, path="/api/settings/all", times=None
        )
        done = fleet.run("planasonix.admin.audit", keys={dead: "plnx_live_dead"})
        report = {
            organization["name"]: organization
            for organization in json.loads(fleet.report())["organizations"]
        }
        requests = Counter((row["organization"], row["path"]) for row in simulator.log())
    assert done.returncode == 2, done.stdout
    assert set(recap(done)) == set(report) == set(simulator.slugs)
    errors = {
        name: [c for c in organization["controls"] if c["status"] == "error"]
        for name, organization in report.items()
    }
    whole = {
        name for name, controls in errors.items() if len(controls) == len(report[name]["controls"])
    }
    assert whole == {dead, limited, hanging}
    assert {name for name, controls in errors.items() if controls} == {*whole, unavailable}
    assert {control["id"] for control in errors[unavailable]} == {"PLX-SSO-1", "PLX-CFG-1"}, (
        "these are about the settings"
    )
    for name, reason in {
        dead: "401",
        limited: "429",
        hanging: "no whole answer",
        unavailable: "503",
    }.items():
        assert all(reason in control["detail"] for control in errors[name]), errors[name]
    assert sum(count for (name, _path), count in requests.items() if name == hanging) == RETRIES + 1
    assert max(count for (name, _path), count in requests.items() if name == limited) <= RETRIES + 1
    assert "2 could not be read, 3 organizations could not be read at all" in told(done.stdout)
