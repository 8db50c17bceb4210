# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the simulated deployment behaves: faults on the wire, paging, rate limits, error forms, read-only switch, control API, process."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
import requests
import trustme
from simulator.process import TESTS, Simulator, SimulatorError

CREATE_ENTRY = ("POST", "/api/settings/ip-whitelist", {"cidr": "192.0.2.0/24", "label": "x"})


def entries(simulator):
    return len(simulator.state()["ip_whitelist"]["entries"])


# ---- faults


@pytest.mark.parametrize(
    ("kind", "written"), [("refuse", 0), ("drop_before", 0), ("drop_after", 1)]
)
def test_a_dropped_connection(simulator, call, kind, written):
    simulator.fault(kind, method="POST", path="/api/settings/*")
    assert call("GET", "/api/settings/ip-whitelist").status_code == 200
    with pytest.raises(requests.ConnectionError):
        call(*CREATE_ENTRY)
    assert entries(simulator) == written
    row = simulator.log()[-1]
    assert (row["status"], row["fault"]) == (None, kind)
    assert row["body"] == (None if kind == "refuse" else CREATE_ENTRY[2])
    assert call(*CREATE_ENTRY).status_code == 201
    assert entries(simulator) == written + 1


def test_a_truncated_answer(simulator, call):
    simulator.fault("truncate")
    with pytest.raises(
        (requests.exceptions.ChunkedEncodingError, requests.ConnectionError)
    ) as caught:
        call(*CREATE_ENTRY)
    assert "IncompleteRead" in str(caught.value)
    assert entries(simulator) == 1
    assert simulator.log()[-1]["status"] == 201


@pytest.mark.parametrize(("act", "written"), [(True, 1), (False, 0)])
def test_a_stalled_answer(simulator, call, act, written):
    simulator.fault("stall", seconds=0.6, act=act)
    with pytest.raises(requests.exceptions.ReadTimeout):
        call(*CREATE_ENTRY, timeout=0.3)
    time.sleep(0.5)
    assert entries(simulator) == written


def test_a_stalled_answer_comes_late(simulator, call):
    simulator.fault("stall", seconds=0.3)
    start = time.monotonic()
    assert call(*CREATE_ENTRY).status_code == 201
    assert time.monotonic() - start >= 0.3


def test_an_ignored_write_looks_like_a_success(simulator, call):
    simulator.fault("ignore_write")
    answer = call("PUT", "/api/session-timeout", {"idle_timeout_minutes": 5})
    assert (answer.status_code, answer.json()["data"]["idle_timeout_minutes"]) == (200, 5)
    assert call.data("GET", "/api/session-timeout")["idle_timeout_minutes"] == 60
    simulator.fault("ignore_write")
    assert call("POST", "/api/user/api-keys", {"name": "k", "scopes": ["a:b"]}).status_code == 201
    assert len(call.data("GET", "/api/user/api-keys")) == 1


@pytest.mark.parametrize(
    ("field", "lacks"), [("cidr", "cidr"), (None, "data"), ("no such field", "no such field")]
)
def test_an_answer_without_a_field(simulator, call, field, lacks):
    call(*CREATE_ENTRY)
    simulator.fault("omit", **({} if field is None else {"field": field}))
    response = call("GET", "/api/settings/ip-whitelist")
    assert (response.status_code, f'"{lacks}"' in response.text) == (200, False)
    assert ("data" in response.json()) is (field is not None)
    assert call("GET", "/api/settings/ip-whitelist").json()["data"][0]["cidr"] == "192.0.2.0/24"


def test_a_status_after_the_request_took_effect(simulator, call):
    simulator.fault("status_after", status=504)
    assert call(*CREATE_ENTRY).status_code == 504
    assert entries(simulator) == 1


@pytest.mark.parametrize("form", ["seconds", "date", "reset"])
def test_when_to_come_again(simulator, call, form):
    simulator.fault("status", status=429, retry_after=form, seconds=2)
    headers = call("GET", "/api/tier").headers
    told = {
        "seconds": lambda: float(headers["Retry-After"]),
        "date": lambda: parsedate_to_datetime(headers["Retry-After"]).timestamp() - time.time(),
        "reset": lambda: float(headers["X-RateLimit-Reset"]) - time.time(),
    }[form]()
    assert 0.5 < told < 3
    assert headers.get("X-RateLimit-Remaining") == ("0" if form == "reset" else None)


def test_tls(tmp_path):
    authority = trustme.CA()
    server, trusted = tmp_path / "server.pem", tmp_path / "authority.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(server))
    authority.cert_pem.write_to_path(str(trusted))
    with Simulator(1, certificate=server) as simulator:
        assert simulator.url.startswith("https://")
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(f"{simulator.url}/api/tier", timeout=10)
        answer = requests.get(
            f"{simulator.url}/api/tier",
            headers={"Authorization": f"Bearer {simulator.keys[0]}"},
            verify=str(trusted),
            timeout=10,
        )
        assert answer.status_code == 200
        assert [row["path"] for row in simulator.log()] == ["/api/tier"]


def test_an_answer_of_the_tests_choice(simulator, call):
    simulator.fault("status", status=503, headers={"Retry-After": "7"}, times=2)
    for dummy in range(2):
        response = call(*CREATE_ENTRY)
        assert (
            response.status_code,
            response.headers["Retry-After"],
            response.json()["error"]["code"],
        ) == (503, "7", "service_unavailable")
    assert entries(simulator) == 0
    simulator.fault("status", status=418, body={"odd": True})
    assert call("GET", "/api/tier").json() == {"odd": True}
    simulator.fault("status", status=200, body="not JSON")
    assert call("GET", "/api/tier").text == "not JSON"
    simulator.fault("html")
    response = call("GET", "/api/tier")
    assert (response.status_code, response.headers["Content-Type"].partition(";")[0]) == (
        502,
        "text/html",
    )
    assert "<h1>502 Bad Gateway</h1>" in response.text


def test_which_requests_a_fault_hits(simulator, call, client_of):
    simulator.fault(
        "status", method="GET", path="/api/t*", organization="globex", skip=1, times=None
    )
    globex = client_of(simulator.keys[1])
    assert [globex("GET", "/api/tier").status_code for dummy in range(4)] == [200, 503, 503, 503]
    assert globex("GET", "/api/features").status_code == 200
    assert call("GET", "/api/tier").status_code == 200
    assert [fault["kind"] for fault in simulator.control("faults")] == ["status"]
    simulator.control("faults/clear", {})
    assert globex("GET", "/api/tier").status_code == 200


def test_an_outage_refuses_connections_and_ends():
    with Simulator(1) as simulator:
        simulator.control("outage", {"seconds": 0.6})
        time.sleep(0.2)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", simulator.port), 1).close()
        time.sleep(0.8)
        assert simulator.state()["organization"]["slug"] == "acme-analytics"
        assert simulator.errors() == ""


# ---- paging


def test_lists_in_pages(simulator, call):
    ids = [
        call.data("POST", "/api/settings/ip-whitelist", {"cidr": f"10.0.{number}.0/24"})["id"]
        for number in range(5)
    ]
    simulator.options(page_size=2)

    def pages(query=""):
        found, cursor = [], None
        while True:
            answer = call(
                "GET", f"/api/settings/ip-whitelist?{query}{f'&cursor={cursor}' if cursor else ''}"
            ).json()
            assert answer["meta"]["total"] == 5
            found.append([item["id"] for item in answer["data"]])
            cursor = answer["meta"]["next_cursor"]
            if cursor is None:
                return found

    assert pages() == [ids[:2], ids[2:4], ids[4:]]
    assert pages("limit=100") == [ids[:2], ids[2:4], ids[4:]]
    assert pages("limit=1") == [[item] for item in ids]
    for path in ("/api/user/api-keys", "/api/notifications/channels", "/api/notifications/rules"):
        assert call("GET", path).json()["meta"]["next_cursor"] is None
    assert "meta" not in call("GET", "/api/user-preferences").json()
    assert call("GET", "/api/settings/ip-whitelist?cursor=rubbish").status_code == 400
    assert call("GET", "/api/settings/ip-whitelist?limit=0").status_code == 422


def test_a_cursor_that_does_not_advance(simulator, call):
    for number in range(3):
        call.data("POST", "/api/settings/ip-whitelist", {"cidr": f"10.0.{number}.0/24"})
    simulator.options(page_size=1, cursor_repeats=True)
    cursor = call("GET", "/api/settings/ip-whitelist").json()["meta"]["next_cursor"]
    assert (
        call("GET", f"/api/settings/ip-whitelist?cursor={cursor}").json()["meta"]["next_cursor"]
        == cursor
    )


# ---- rate limits, latency, errors


def test_rate_limit(simulator, call, client_of):
    simulator.options(rate_limit="2/2")
    answers = [call("GET", "/api/tier") for dummy in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"2"}
    assert answers[2].headers["Retry-After"] in ("1", "2")
    assert 0 < int(answers[2].headers["X-RateLimit-Reset"]) - time.time() <= 3
    assert client_of(simulator.keys[1])("GET", "/api/tier").status_code == 200
    time.sleep(int(answers[2].headers["Retry-After"]))
    assert call("GET", "/api/tier").status_code == 200
    assert "X-RateLimit-Limit" not in client_of("wrong")("GET", "/api/tier").headers


@pytest.mark.parametrize("form", ["date", "none"])
def test_forms_of_retry_after(simulator, call, form):
    simulator.options(rate_limit="1/60", retry_after=form)
    call("GET", "/api/tier")
    response = call("GET", "/api/tier")
    assert response.status_code == 429
    if form == "none":
        assert "Retry-After" not in response.headers
    else:
        assert (
            55
            < parsedate_to_datetime(response.headers["Retry-After"]).timestamp() - time.time()
            <= 61
        )


def test_latency(simulator, call):
    simulator.options(latency_ms=200)
    start = time.monotonic()
    call("GET", "/api/tier")
    assert time.monotonic() - start >= 0.2


def test_answers_on_a_kept_connection_are_not_delayed(call):
    durations = []
    for dummy in range(20):
        start = time.monotonic()
        call("GET", "/api/tier")
        durations.append(time.monotonic() - start)
    assert min(durations) < 0.03  # without TCP_NODELAY each takes 0.04 seconds


def test_error_forms(simulator, call):
    simulator.options(error_format="flat")
    for path in ("/api/nothing", "/api/user/api-keys/key_none"):
        response = call("GET", path)
        assert set(response.json()) == {"code", "message", "request_id"}
    simulator.options(error_format="html")
    response = call("PUT", "/api/session-timeout", {"colour": "red"})
    assert (response.status_code, response.headers["Content-Type"].partition(";")[0]) == (
        422,
        "text/html",
    )
    with pytest.raises(SimulatorError, match='"code":"validation_failed"'):
        simulator.options(error_format="xml")


def test_each_answer_has_a_request_id_of_its_own(call):
    ids = {
        call("GET", path).headers["X-Request-Id"]
        for path in ("/api/tier", "/api/tier", "/api/nothing", "/_simulator/log", "/docs")
    }
    assert len(ids) == 5


# ---- control


def test_read_only(simulator, call):
    simulator.options(read_only=True)
    assert call("GET", "/api/tier").status_code == 200
    response = call(*CREATE_ENTRY)
    assert (response.status_code, response.json()["error"]["code"]) == (500, "read_only_violation")
    assert [(row["method"], row["path"], row["body"]) for row in simulator.violations()] == [
        CREATE_ENTRY
    ]
    simulator.options(read_only=False)
    assert entries(simulator) == 0
    assert len(simulator.violations()) == 1
    simulator.reset()
    assert simulator.violations() == []


def test_log(simulator, call, client_of):
    call("GET", "/api/user/api-keys?limit=5")
    client_of("wrong")("PUT", "/api/session-timeout", {"a": 1})
    call(*CREATE_ENTRY)
    shown = [
        {name: row[name] for name in ("method", "path", "query", "status", "organization", "body")}
        for row in simulator.log()
    ]
    assert shown == [
        {
            "method": "GET",
            "path": "/api/user/api-keys",
            "query": "limit=5",
            "status": 200,
            "organization": "acme-analytics",
            "body": None,
        },
        {
            "method": "PUT",
            "path": "/api/session-timeout",
            "query": "",
            "status": 401,
            "organization": None,
            "body": {"a": 1},
        },
        {
            "method": "POST",
            "path": CREATE_ENTRY[1],
            "query": "",
            "status": 201,
            "organization": "acme-analytics",
            "body": CREATE_ENTRY[2],
        },
    ]
    assert [row["method"] for row in simulator.writes()] == ["PUT", "POST"]
    simulator.clear_log()
    assert simulator.log() == []


def test_state_can_be_changed_behind_the_back(simulator, call, client_of):
    timeout = {
        "idle_timeout_minutes": 5,
        "absolute_timeout_minutes": 10,
        "extend_on_activity": False,
    }
    simulator.set_state("org_01jq8acme", session_timeout=timeout)
    assert call.data("GET", "/api/session-timeout") == timeout
    key = {**simulator.state()["api_keys"][0], "id": "key_planted", "secret": "plnx_live_planted"}
    simulator.set_state("globex", api_keys=[*simulator.state("globex")["api_keys"], key])
    assert client_of("plnx_live_planted").data("GET", "/api/organization")["slug"] == "globex"
    for sections in ({"session_timeout": {"idle_timeout_minutes": "5"}}, {"colour": "red"}):
        with pytest.raises(SimulatorError, match="422"):
            simulator.set_state(**sections)
    with pytest.raises(SimulatorError, match="404"):
        simulator.state("nobody")


def test_reset_takes_everything_back(simulator, call, client_of):
    call("PUT", "/api/session-timeout", {"idle_timeout_minutes": 5})
    simulator.options(page_size=1)
    simulator.fault("html", times=None)
    simulator.control("clock", {"advance_seconds": 1e6})
    simulator.reset(5)
    assert call.data("GET", "/api/session-timeout")["idle_timeout_minutes"] == 60
    assert simulator.control("options")["page_size"] is None
    assert simulator.control("clock")["offset_seconds"] == 0
    assert len(simulator.log()) == 1
    assert [row["admin_key"] for row in simulator.control("organizations")] == simulator.keys
    assert simulator.slugs[3:] == ["organization-004", "organization-005"]
    assert (
        client_of(simulator.keys[4]).data("GET", "/api/organization")["slug"] == "organization-005"
    )


def test_documentation_page(simulator, call):
    assert call("GET", "/docs").status_code == 200
    schema = call("GET", "/openapi.json").json()
    assert (
        sum(len(methods) for path, methods in schema["paths"].items() if path.startswith("/api/"))
        == 38
    )
    assert schema["security"] == [{"api_key": []}]
    assert simulator.log() == []


# ---- the process


def test_prefix_and_start_options():
    with Simulator(2, prefix="v1/", page_size=1, rate_limit="100/60", latency_ms=1) as simulator:
        assert simulator.url.endswith("/v1")
        headers = {"Authorization": f"Bearer {simulator.keys[1]}"}
        response = requests.get(f"{simulator.url}/api/user/api-keys", headers=headers, timeout=10)
        assert response.json()["meta"] == {"next_cursor": None, "total": 1}
        assert response.headers["X-RateLimit-Limit"] == "100"
        assert (
            requests.get(
                f"http://127.0.0.1:{simulator.port}/api/tier", headers=headers, timeout=10
            ).status_code
            == 404
        )
        assert [row["path"] for row in simulator.log()] == ["/api/user/api-keys", "/api/tier"]
        simulator.reset()
        assert simulator.control("options")["page_size"] == 1
        assert len(simulator.keys) == 2
        assert simulator.errors() == ""


def run_simulator(*arguments, folder=TESTS, module="simulator", **environment):
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_taken_port_is_one_sentence(running_simulator):
    result = run_simulator("--port", str(running_simulator.port))
    assert result.returncode == 2
    assert (
        result.stderr
        == f"Port {running_simulator.port} on 127.0.0.1 is in use; choose another one with --port, or 0 for any that is free.\n"
    )
    with pytest.raises(SimulatorError, match="is in use"):
        Simulator(port=running_simulator.port).start()


@pytest.mark.parametrize("arguments", [("--port", "70000"), ("--host", "192.0.2.1")])
def test_an_impossible_address_is_one_sentence(arguments):
    result = run_simulator(*arguments)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "cannot be used" in result.stderr


def test_idle_exit_port_file_and_one_line_of_output(tmp_path):
    port_file = tmp_path / "port"
    port_file.write_text("of an earlier run")
    result = run_simulator("--idle-exit", "0.3", "--port-file", str(port_file))
    assert result.returncode == 0
    assert result.stdout == f"Planasonix simulator: http://127.0.0.1:{int(port_file.read_text())}\n"
    assert result.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == ["port"]


def test_the_package_runs_under_its_name_in_the_collection(tmp_path):
    package = tmp_path / "ansible_collections" / "planasonix" / "admin" / "tests" / "simulator"
    shutil.copytree(TESTS / "simulator", package, ignore=shutil.ignore_patterns("__pycache__"))
    result = run_simulator(
        "--idle-exit",
        "0.1",
        folder=tmp_path,
        module="ansible_collections.planasonix.admin.tests.simulator",
        PYTHONPATH="",
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "http://127.0.0.1:" in result.stdout


def test_the_process_ends_with_the_block():
    with Simulator(1) as simulator:
        port = simulator.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1).close()


def test_the_process_ends_with_its_parent():
    code = "import os; from simulator.process import Simulator; s = Simulator(1); s.start(); print(s.port, flush=True); os._exit(0)"
    parent = subprocess.run(
        [sys.executable, "-c", code],
        cwd=TESTS,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    deadline = time.monotonic() + 10
    with pytest.raises(ConnectionRefusedError):
        while time.monotonic() < deadline:
            socket.create_connection(("127.0.0.1", int(parent.stdout)), 1).close()
            time.sleep(0.1)


def test_the_client_needs_only_the_standard_library():
    code = "import sys, simulator.process; print(sorted(set(m.partition('.')[0] for m in sys.modules) & {'fastapi', 'pydantic', 'requests', 'uvicorn'}))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=TESTS,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert result.stdout.strip() == "[]"
    assert Path(TESTS, "simulator", "requirements.txt").is_file()


# ---- several workers


def test_workers_share_a_port_and_answer_alike():
    with Simulator(2, workers=3) as simulator:
        headers = {"Authorization": f"Bearer {simulator.keys[1]}"}
        answers = set()
        for dummy in range(30):  # each by a connection of its own, which any worker may accept
            answer = requests.get(
                f"{simulator.url}/api/user/api-keys", headers=headers, timeout=10
            ).json()
            answers.add(
                str(
                    [
                        {name: value for name, value in key.items() if name != "last_used_at"}
                        for key in answer["data"]
                    ]
                )
            )
        assert len(answers) == 1
        assert simulator.errors() == ""


def test_workers_refuse_what_only_one_of_them_would_know():
    with Simulator(1, workers=2) as simulator:
        headers = {"Authorization": f"Bearer {simulator.keys[0]}"}
        response = requests.put(
            f"{simulator.url}/api/session-timeout",
            json={"idle_timeout_minutes": 5},
            headers=headers,
            timeout=10,
        )
        assert (response.status_code, response.json()["error"]["code"]) == (
            500,
            "read_only_violation",
        )
        for call in (simulator.log, simulator.reset, lambda: simulator.options(read_only=False)):
            with pytest.raises(
                SimulatorError,
                match="409.*This simulator has 2 workers, each with a state and a log of its own",
            ):
                call()
    result = run_simulator("--workers", "2", "--rate-limit", "5/60")
    assert result.returncode == 2
    assert "--rate-limit needs a single worker" in result.stderr


def test_no_worker_outlives_the_first():
    with Simulator(1, workers=3) as simulator:
        connections = [
            socket.create_connection(("127.0.0.1", simulator.port), 1) for dummy in range(10)
        ]
        time.sleep(0.2)
        port = simulator.port
    with pytest.raises(ConnectionRefusedError):  # a worker that is left would still listen
        socket.create_connection(("127.0.0.1", port), 1).close()
    for connection in connections:
        connection.close()


def test_all_workers_end_with_their_parent_and_when_idle():
    code = "import os; from simulator.process import Simulator; s = Simulator(1, workers=3); s.start(); print(s.port, flush=True); os._exit(0)"
    parent = subprocess.run(
        [sys.executable, "-c", code],
        cwd=TESTS,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    wait_until_refused(int(parent.stdout))
    with Simulator(1, workers=3, idle_exit=0.3) as simulator:
        wait_until_refused(simulator.port)


def wait_until_refused(port):
    deadline = time.monotonic() + 10
    with pytest.raises(ConnectionRefusedError):
        while time.monotonic() < deadline:
            socket.create_connection(("127.0.0.1", port), 1).close()
            time.sleep(0.1)
