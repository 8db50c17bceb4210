# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit by a bare script: the same calls in the same order, over one connection for each organization, so many organizations at a time.

    script.py organizations.json URL THREADS

The file maps names to API keys. Prints each organization with the controls that it does not meet.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import requests

PATHS = (
    "/api/user/mfa",
    "/api/user/api-keys",
    "/api/session-timeout",
    "/api/settings/all",
    "/api/settings/ip-whitelist",
    "/api/settings/ip-whitelist/status",
    "/api/settings/log-retention",
    "/api/features",
    "/api/notifications/channels",
    "/api/notifications/rules",
)


def audit(url: str, key: str) -> list[str]:
    """Read an organization; returns the ids of the controls that it does not meet."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {key}"
        answers = [session.get(url + path, timeout=30) for path in PATHS]
    for answer in answers:
        answer.raise_for_status()
    return unmet(*(answer.json()["data"] for answer in answers))


def unmet(
    mfa: Any,
    keys: Any,
    session: Any,
    settings: Any,
    entries: Any,
    enforcement: Any,
    retention: Any,
    features: Any,
    channels: Any,
    rules: Any,
) -> list[str]:
    """Evaluate the controls of roles/org_baseline/files/foundation.yml; returns the ids of those that are not met."""
    now = datetime.now(timezone.utc)
    rule_names = {rule["name"] for rule in rules if rule["enabled"]}
    met = {
        "PLX-MFA-1": mfa["enabled"],
        "PLX-KEY-1": all(key["expires_at"] for key in keys),
        "PLX-KEY-2": all(now - moment(key["created_at"]) <= timedelta(days=180) for key in keys),
        "PLX-KEY-3": all(
            now - moment(key["last_used_at"] or key["created_at"]) <= timedelta(days=90)
            for key in keys
        ),
        "PLX-KEY-4": not any("*" in key["scopes"] for key in keys),
        "PLX-KEY-5": all(
            key["expires_at"]
            and moment(key["expires_at"]) - moment(key["created_at"]) <= timedelta(days=365)
            for key in keys
        ),
        "PLX-SES-1": session["idle_timeout_minutes"] <= 30,
        "PLX-SES-2": session["absolute_timeout_minutes"] <= 1440,
        "PLX-SSO-1": settings["require_sso"] or "sso" not in features["features"],
        "PLX-CFG-1": settings["default_timezone"] in ("UTC", "Etc/UTC"),
        "PLX-NET-1": enforcement["enabled"],
        "PLX-NET-2": not {"0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1"}
        & {entry["cidr"] for entry in entries},
        "PLX-LOG-1": retention["audit_logs_days"] >= 365,
        "PLX-LOG-2": retention["run_logs_days"] >= 30,
        "PLX-LOG-3": retention["diagnostic_artifacts_days"] <= 30,
        "PLX-ALR-1": any(
            (one["name"], one["type"], one["enabled"])
            == ("Security and operations alerts", "in_app", True)
            for one in channels
        ),
        "PLX-ALR-2": "Failed pipeline runs" in rule_names,
        "PLX-ALR-3": "Growing dead-letter queues" in rule_names,
    }
    return [name for name, is_met in met.items() if not is_met]


def moment(text: str) -> datetime:
    """The time that the API writes so."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def main(file: str, url: str, threads: str) -> None:
    """Audit all organizations."""
    with open(file, encoding="utf-8") as opened:
        keys = json.load(opened)
    with ThreadPoolExecutor(int(threads)) as pool:
        for name, found in zip(
            keys, pool.map(lambda key: audit(url, key), keys.values()), strict=True
        ):
            print(f"{name}: {' '.join(found)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
