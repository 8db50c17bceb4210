# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory of organizations, as Ansible's own commands use it: hosts and groups, keys that nobody sees, failures, the cache, and many at a time."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_runs import environment_in, run_playbook, told
from simulator.process import Simulator
from watched import leaks

KEYS = (r"plnx_live_\S+_admin_simulator", "canary-[a-z-]+")


def unmarked(value: Any) -> Any:
    """The value without the marks that ansible-inventory sets on text that is no template."""
    if isinstance(value, dict):
        return (
            value["__ansible_unsafe"]
            if "__ansible_unsafe" in value
            else {name: unmarked(item) for name, item in value.items()}
        )
    return [unmarked(item) for item in value] if isinstance(value, list) else value


@dataclass
class Fleet:
    """A folder with an inventory file, and what Ansible's commands make of it.

    :ivar environment: What is in the environment of the commands.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.folder / "fleet.planasonix.yml"

    def write(self, *entries: str, **options: Any) -> None:
        """Write the inventory file.

        :param entries: YAML of the organizations, each on lines of its own.
        """
        head = "".join(f"{name}: {json.dumps(value)}\n" for name, value in options.items())
        self.path.write_text(
            f"plugin: planasonix.admin.orgs\n{head}organizations:\n"
            + "\n".join(f"  - {entry}" for entry in entries),
            encoding="utf-8",
        )

    def inventory(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``ansible-inventory``."""
        command = [
            str(Path(sys.executable).parent / "ansible-inventory"),
            "-i",
            str(self.path),
            *arguments,
        ]
        return subprocess.run(
            command,
            env=environment_in(self.folder, self.environment),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def shown(self) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]], str]:
        """Variables of the hosts, hosts of the groups, and what is on standard error. No key is on either screen."""
        done = self.inventory("--list")
        assert done.returncode == 0, done.stderr
        assert leaks({"screen": done.stdout + done.stderr}, *KEYS) == []
        found = json.loads(done.stdout)
        groups = {
            name: sorted(group.get("hosts", []))
            for name, group in found.items()
            if name not in ("_meta", "all")
        }
        return unmarked(found["_meta"]["hostvars"]), groups, done.stderr


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with Simulator(organizations=6) as simulator:
        yield simulator


@pytest.fixture
def api(running: Simulator) -> Simulator:
    running.reset()
    return running


@pytest.fixture
def fleet(api: Simulator, tmp_path: Path) -> Fleet:
    """The keys of all organizations are in the environment, as KEY_1 and so on."""
    keys = {f"KEY_{number}": key for number, key in enumerate(api.keys, 1)}
    return Fleet(tmp_path, {**keys, "PLANASONIX_API_URL": api.url})


def test_a_fleet(fleet: Fleet, api: Simulator) -> None:
    """Keys from each kind of source; what Ansible shows; a playbook that uses it; the cache."""
    (fleet.folder / "it's a key").write_text(f"{api.keys[1]}\n", encoding="utf-8")
    (fleet.folder / "password").write_text("canary-of-the-vault", encoding="utf-8")
    fleet.environment["ANSIBLE_VAULT_PASSWORD_FILE"] = str(fleet.folder / "password")
    vaulted = (
        VaultLib([("default", VaultSecret(b"canary-of-the-vault"))]).encrypt(api.keys[2]).decode()
    )
    template = "{{ lookup('ansible.builtin.env', 'KEY_4') }}"
    trap = "{{ lookup('ansible.builtin.env', 'KEY_1') }}"
    state = api.state("globex")["organization"]
    api.control("state/globex", {"organization": {**state, "name": trap}}, "PUT")
    fleet.write(
        "api_key_env: KEY_1",
        'api_key_file: "it\'s a key"',
        "name: initech\n    api_key: !vault |\n"
        + "\n".join(f"      {line}" for line in vaulted.splitlines()),
        f'name: Fourth\n    api_url: {api.url}/\n    api_key: "{template}"',
        strict=True,
        keyed_groups=[
            {"prefix": "tier", "key": "planasonix_tier.tier"},
            {"prefix": "feature", "key": "planasonix_features"},
        ],
        groups={"large": "planasonix_limits.max_pipelines >= 500"},
        compose={"ansible_connection": "'local'"},
        cache=True,
        cache_plugin="ansible.builtin.jsonfile",
        cache_connection=str(fleet.folder / "cache"),
    )
    hosts, groups, errors = fleet.shown()
    assert errors == ""
    assert {
        name: variables["planasonix_api_key"]
        for name, variables in hosts.items()
        if name != "initech"
    } == {
        "acme-analytics": "{{ lookup('ansible.builtin.env', 'KEY_1') }}",
        "globex": f"{{{{ lookup('ansible.builtin.file', \"{fleet.folder}/it's a key\") }}}}",
        "Fourth": template,
    }
    assert "".join(hosts["initech"]["planasonix_api_key"]["__ansible_vault"].split()) == "".join(
        vaulted.split()
    )
    assert {name: variables["planasonix_api_url"] for name, variables in hosts.items()} == {
        **dict.fromkeys(("acme-analytics", "globex", "initech"), api.url),
        "Fourth": f"{api.url}/",
    }
    acme = hosts["acme-analytics"]
    assert acme["planasonix_organization"] == api.state()["organization"]
    assert acme["planasonix_tier"] == {
        "tier": "enterprise",
        "billing_period": "annual",
        "renewal_date": "2026-06-01",
    }
    assert acme["planasonix_features"] == ["lineage", "git_integration", "pipeline_agents", "sso"]
    assert acme["planasonix_limits"]["max_pipelines"] == 500
    assert groups["tier_team"] == ["initech"] and groups["large"] == sorted(hosts)
    assert (
        groups["tier_enterprise"] == groups["feature_sso"] == ["Fourth", "acme-analytics", "globex"]
    )
    assert [row["method"] for row in api.log()] == ["GET"] * 16

    cache = {
        path.name: path.read_text(encoding="utf-8") for path in (fleet.folder / "cache").iterdir()
    }
    assert "acme-analytics" in "".join(cache.values())
    assert leaks(cache, *KEYS) == []
    assert vaulted.splitlines()[1] not in "".join(cache.values())
    api.clear_log()
    graph = fleet.inventory("--graph")
    assert "@tier_team:" in graph.stdout and "--initech" in graph.stdout
    assert api.log() == [], "the cache knows"

    # The playbook reads no inventory anew either, and its modules work with each kind of key.
    record = fleet.folder / "results.jsonl"
    info = {
        "api_url": "{{ planasonix_api_url }}",
        "api_key": "{{ planasonix_api_key }}",
        "gather_subset": ["organization"],
    }
    shown = {
        "slug": "{{ info.planasonix.organization.slug }}",
        "name": "{{ planasonix_organization.name }}",
    }
    play = {
        "hosts": "large",
        "gather_facts": False,
        "tasks": [
            {"planasonix.admin.planasonix_info": info, "register": "info"},
            {"record": {"file": str(record), "name": "{{ inventory_hostname }}", "value": shown}},
        ],
    }
    (fleet.folder / "playbook.yml").write_text(json.dumps([play]), encoding="utf-8")
    done = run_playbook(
        fleet.folder, "-i", str(fleet.path), "playbook.yml", "-vvv", environment=fleet.environment
    )
    assert done.returncode == 0, done.stdout
    assert leaks({"screen": done.stdout}, *KEYS) == []
    results = dict(json.loads(line) for line in record.read_text(encoding="utf-8").splitlines())
    assert {host: result["slug"] for host, result in results.items()} == {
        "acme-analytics": "acme-analytics",
        "globex": "globex",
        "initech": "initech",
        "Fourth": "organization-004",
    }
    assert results["globex"]["name"] == trap, "what the API says is no template"
    assert len(api.log()) == 4

    api.clear_log()
    done = run_playbook(
        fleet.folder,
        "-i",
        str(fleet.path),
        "playbook.yml",
        "--list-hosts",
        "--flush-cache",
        environment=fleet.environment,
    )
    assert "hosts (4)" in done.stdout, done.stdout
    assert len(api.log()) == 16


FAILING = (
    "api_key_env: KEY_1",
    "api_key_env: KEY_2",
    "name: stalled\n    api_key_env: KEY_3",
    "api_key_env: DEAD",
    "api_key_env: NONE",
    "api_key_env: KEY_6",
)


def break_api(fleet: Fleet, api: Simulator) -> None:
    """The first waits for a moment, the second holds a rate limit on, the third stalls, the fourth key is dead, and the fifth is not there."""
    fleet.environment["DEAD"] = "plnx_live_canary-dead"
    api.fault(
        "status", organization=api.slugs[0], status=429, headers={"Retry-After": "1"}, times=1
    )
    api.fault(
        "status", organization=api.slugs[1], status=429, headers={"Retry-After": "60"}, times=None
    )
    api.fault("stall", organization=api.slugs[2], seconds=3, act=False, times=None)


def test_failures_in_a_group(fleet: Fleet, api: Simulator) -> None:
    break_api(fleet, api)
    fleet.write(*FAILING, on_error="group", timeout=0.5, retries=1, retry_budget=1.2)
    start = time.monotonic()
    hosts, groups, errors = fleet.shown()
    assert time.monotonic() - start < 10
    unknown = ", ".join(f"entry {number} of organizations" for number in (2, 4, 5))
    assert told(errors).count("[WARNING]") == 1
    assert f"The slug of {unknown} is not known. Unless " in told(errors)
    assert groups["planasonix_unreachable"] == [
        "organization_2",
        "organization_4",
        "organization_5",
        "stalled",
    ]
    assert set(hosts) - set(groups["planasonix_unreachable"]) == {
        "acme-analytics",
        "organization-006",
    }
    assert "answered 429" in hosts["organization_2"]["planasonix_error"]
    assert "gave no whole answer to GET /api/organization" in hosts["stalled"]["planasonix_error"]
    assert "answered 401" in hosts["organization_4"]["planasonix_error"]
    assert (
        hosts["organization_5"]["planasonix_error"]
        == "The environment variable NONE is not set, or is empty."
    )
    assert hosts["stalled"]["planasonix_api_key"] == "{{ lookup('ansible.builtin.env', 'KEY_3') }}"
    requests = [row["path"] for row in api.log() if row["organization"] == api.slugs[0]]
    assert requests == [
        "/api/organization",
        "/api/organization",
        "/api/features",
        "/api/features/limits",
        "/api/tier",
    ], "it was asked again after its pause"
    # The second asks for a longer wait than the budget covers, so it is not asked again.
    for slug, number in ((api.slugs[1], 1), (api.slugs[2], 2), (None, 1)):
        assert [row["path"] for row in api.log() if row["organization"] == slug] == [
            "/api/organization"
        ] * number


@pytest.mark.parametrize("on_error", ["fail", "skip"])
def test_failures_that_are_fatal_or_left_out(fleet: Fleet, api: Simulator, on_error: str) -> None:
    break_api(fleet, api)
    fleet.environment["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] = "true"
    fleet.write(*FAILING, on_error=on_error, timeout=0.5, retries=0)
    done = fleet.inventory("--list")
    screen = told(done.stdout + done.stderr)
    assert leaks({"screen": screen}, *KEYS) == []
    reasons = (
        "answered 429",
        "gave no whole answer",
        "answered 401",
        "The environment variable NONE is not set, or is empty.",
    )
    labels = (
        "entry 1 of",
        "entry 2 of",
        "entry 3 of organizations (stalled)",
        "entry 4 of",
        "entry 5 of",
    )
    assert [text for text in (*reasons, *labels) if text not in screen] == []
    assert "Traceback" not in screen
    if on_error == "fail":
        assert done.returncode != 0
        assert "planasonix.admin.orgs: 5 of 6 organizations could not be read." in screen
    else:
        assert list(json.loads(done.stdout)["_meta"]["hostvars"]) == ["organization-006"]


def test_a_key_in_plain_text(fleet: Fleet, api: Simulator) -> None:
    fleet.write("name: acme\n    api_key: canary-in-plain-text", on_error="skip")
    done = fleet.inventory("--list", "-vvv")
    screen = told(done.stdout + done.stderr)
    assert "entry 1 of organizations (acme): api_key is in plain text, which is refused" in screen
    assert leaks({"screen": screen}, *KEYS) == []
    assert api.log() == []


class Crowd(ThreadingHTTPServer):
    """An API of many organizations, the slug of which follows "key-" in the key.

    It counts how many requests it serves at a time.

    :ivar most: The most at a time.
    """

    def __init__(self) -> None:
        self.now = self.most = 0
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), CrowdHandler)

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        yield
        with self.lock:
            self.now -= 1


class CrowdHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one packet
    server: Crowd

    def do_GET(self) -> None:
        with self.server.counted():
            slug = self.headers["Authorization"].rpartition("key-")[2]
            time.sleep(3.3 if slug == "slow" and self.path.endswith("organization") else 0.02)
            organization = {"id": f"org_{slug}", "slug": slug}
            data = {"/api/organization": organization, "/api/features": {"features": []}}.get(
                self.path, {}
            )
            body = json.dumps({"data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


def test_many_at_a_time(fleet: Fleet) -> None:
    """No more than asked for, and who waits for long is told so, where it does not get among the JSON."""
    slugs = [*(f"organization-{number}" for number in range(29)), "slow"]
    fleet.environment |= {f"CROWD_{number}": f"key-{slug}" for number, slug in enumerate(slugs)}
    with Crowd() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        fleet.write(
            *(f"api_key_env: CROWD_{number}" for number in range(len(slugs))),
            concurrency=5,
            api_url=f"http://127.0.0.1:{server.server_address[1]}",
        )
        hosts, _groups, errors = fleet.shown()
        server.shutdown()
    assert set(hosts) == set(slugs)
    assert server.most == 5
    assert errors == "planasonix.admin.orgs: 29 of 30 organizations read\n"


ODD_TEXT = (
    "\x1b[31m \x07 \x9b31m \ud83d \u202e @key@ {{ lookup('pipe', 'id') }}\r\nfatal: [all]: forged"
)
GOOD: dict[str, Any] = {
    "organization": {"id": "org_good", "slug": "good", "name": "Good"},
    "features": {"features": ["sso"]},
    "features/limits": {"max_pipelines": 5},
    "tier": {"tier": "enterprise"},
}


def odd_one(
    slug: Any, organization: dict[str, Any] | None = None, **answers: Any
) -> dict[str, Any]:
    """Answers of an organization, by what follows ``/api/``."""
    base = {"id": f"org_{slug}", "slug": slug, "name": slug}
    return {**GOOD, "organization": {**base, **(organization or {})}, **answers}


ODD: dict[str, dict[str, Any]] = {
    "good": GOOD,
    "name in the file": odd_one("other"),
    "odd texts": odd_one(
        "texts", tier={"tier": ODD_TEXT, ODD_TEXT: [ODD_TEXT]}, features={"features": [ODD_TEXT]}
    ),
    "features as objects": odd_one(
        "objects",
        features={"features": [{"name": "sso", "enabled": True}, {"name": "x", "enabled": False}]},
    ),
    "features as a map": odd_one("map", features={"features": {"sso": True}}),
    "reserved slug": odd_one("all"),
    "slug of another": odd_one("twin", {"id": "org_twin_1"}),
    "slug of another, again": odd_one("twin", {"id": "org_twin_2"}),
    "slug of a group": odd_one("tier_enterprise"),
    "slug of a group of its own": odd_one("feature_mine", features={"features": ["mine"]}),
    "slug of a name": odd_one("fixed"),
    "slug of a file of variables": odd_one("fixed.yml"),
    "slug with a path": odd_one("../evil"),
    "odd slug": odd_one(ODD_TEXT),
    "number as slug": odd_one(5),
    "no id": odd_one("no-id", {"id": None}),
    "same id": odd_one("same-1", {"id": "org_same"}),
    "same id, again": odd_one("same-2", {"id": "org_same"}),
    "NaN": odd_one("nan", **{"features/limits": {"max_pipelines": float("nan")}}),
    "deep": odd_one("deep", tier={"a": json.loads("[" * 500 + "]" * 500)}),
    "deeper": odd_one("deeper", tier='{"a":' * 90_000 + "1" + "}" * 90_000),
    "huge text": odd_one("huge", {"x": "x" * 3_000_000}),
    "many features": odd_one("many", features={"features": ["a"] * 50_000}),
    "tag": odd_one("tag", tier={"__ansible_type": "TrustedAsTemplate", "value": "x"}),
    "vault": odd_one("vault", tier={"tier": {"__ansible_vault": "x"}}),
    "tier as a list": odd_one("list", tier=["enterprise"]),
    "refusal that quotes the key": {},
}
"""Organizations by what is odd about them. The first five can be used."""


class OddHandler(BaseHTTPRequestHandler):
    """Serves :data:`ODD`; a key ends in the number of its organization."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def do_GET(self) -> None:
        key = self.headers["Authorization"].rpartition(" ")[2]
        answers = list(ODD.values())[int(key.rpartition("-")[2])]
        data = answers.get(self.path.removeprefix("/api/"))
        body = json.dumps({"error": {"code": ODD_TEXT, "message": ODD_TEXT}})
        if data is not None:
            body = '{"data": %s}' % (data if isinstance(data, str) else json.dumps(data))
        content = body.replace("@key@", key).encode()
        self.send_response(403 if data is None else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def odd(fleet: Fleet) -> Iterator[Fleet]:
    """A fleet with all odd organizations. Empty variables of the environment count for nothing."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), OddHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for number, _label in enumerate(ODD):
        fleet.environment[f"ODD_{number}"] = f"plnx_live_canary-odd-{number}"
    for name in ("TIMEOUT", "DEADLINE", "CA_PATH", "VALIDATE_CERTS"):
        fleet.environment[f"PLANASONIX_{name}"] = ""
    fleet.environment["PLANASONIX_API_URL"] = f"http://127.0.0.1:{server.server_address[1]}"
    fleet.environment["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] = "true"
    yield fleet
    server.shutdown()
    server.server_close()


def write_odd(fleet: Fleet, **options: Any) -> None:
    """Write the file of the odd fleet, with groups by tier and by feature."""
    entries = [f"api_key_env: ODD_{number}" for number, _label in enumerate(ODD)]
    entries[1] += "\n    name: fixed"
    keyed_groups = [
        {"prefix": "tier", "key": "planasonix_tier.tier"},
        {"prefix": "feature", "key": "planasonix_features"},
    ]
    fleet.write(*entries, keyed_groups=keyed_groups, **options)


def check_screen(done: subprocess.CompletedProcess[str]) -> str:
    """Nothing on either screen can control a terminal, forges a line, or is a key."""
    screen = done.stdout + done.stderr
    assert leaks({"screen": screen}, *KEYS) == []
    assert "Traceback" not in screen
    assert [line for line in screen.splitlines() if not line.isprintable()] == []
    assert [line for line in screen.splitlines() if line.startswith("fatal")] == []
    return told(screen)


def test_odd_organizations_harm_no_other(odd: Fleet) -> None:
    """With the cache and without it, and in each way in which Ansible shows an inventory."""
    cache: dict[str, Any] = {
        "cache": True,
        "cache_plugin": "ansible.builtin.jsonfile",
        "cache_connection": str(odd.folder / "cache"),
    }
    usable = ["fixed", "good", "map", "objects", "texts"]
    for options in ({}, cache, cache):
        write_odd(odd, on_error="skip", **options)
        done = odd.inventory("--list")
        screen = check_screen(done)
        assert done.returncode == 0, screen
        assert screen.count(" is left out. ") == len(ODD) - len(usable)
        found = json.loads(done.stdout, parse_constant=pytest.fail)
        assert sorted(found["_meta"]["hostvars"]) == usable
        assert sorted(found["tier_enterprise"]["hosts"]) == ["fixed", "good", "map", "objects"]
        assert sorted(found["feature_sso"]["hosts"]) == ["fixed", "good", "map", "objects"]
        assert "ODD_1'" in str(found["_meta"]["hostvars"]["fixed"]["planasonix_api_key"])
    for arguments in (["--graph"], ["--graph", "--vars"], ["--list", "--yaml"]):
        done = odd.inventory(*arguments)
        check_screen(done)
        assert done.returncode == 0

    write_odd(odd, on_error="group")
    done = odd.inventory("--list")
    check_screen(done)
    groups = json.loads(done.stdout)
    assert done.returncode == 0
    assert len(groups["planasonix_unreachable"]["hosts"]) == len(ODD) - len(usable)
    assert set(groups["_meta"]["hostvars"]) == {
        *usable,
        *(f"organization_{number}" for number in range(6, len(ODD) + 1)),
    }


def test_a_file_with_odd_organizations_is_whole_or_not_there(odd: Fleet) -> None:
    """Also where an expression fails for one of them."""
    write_odd(odd)
    done = odd.inventory("--list")
    assert done.returncode != 0
    # The slugs of groups are known to be such only when all others can be used.
    assert f"{len(ODD) - 7} of {len(ODD)} organizations cannot be used." in check_screen(done)

    del odd.environment["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"]
    fails = {"found": "planasonix_limits.max_pipelines + planasonix_organization.nothing"}
    write_odd(odd, on_error="skip", strict=True, compose=fails)
    (odd.folder / "static.ini").write_text("web1\n", encoding="utf-8")
    done = odd.inventory("-i", str(odd.folder / "static.ini"), "--list")
    assert "planasonix.admin.orgs: entry 1 of organizations: " in check_screen(done)
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert found["ungrouped"]["hosts"] == ["web1"] and "planasonix" not in done.stdout
