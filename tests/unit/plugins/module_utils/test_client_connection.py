# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the client connects to, and what it sends there: base URLs, the key, redirects, certificates."""

from __future__ import annotations

import io
import json
import os
import re
import ssl
import sys
import typing as t
from urllib.parse import quote

import pytest
import requests
import urllib3
from unit.plugins.scripted_server import Answer, ScriptedServer, closed_port

from ansible_collections.planasonix.admin.plugins.module_utils._allowlist import delete_entry
from ansible_collections.planasonix.admin.plugins.module_utils._allowlist_writes import (
    request_allowlist,
)
from ansible_collections.planasonix.admin.plugins.module_utils._answers import proxy_host
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    InvalidOption,
    NoConnection,
)
from ansible_collections.planasonix.admin.plugins.module_utils._keys import key_path
from ansible_collections.planasonix.admin.plugins.module_utils._notifications import channel_path
from ansible_collections.planasonix.admin.plugins.module_utils._transport import (
    Connection,
    is_loopback,
)

KEY = "plnx_live_key"


def connect(url: str, **options) -> Client:
    return Client(Connection(url, KEY, **{"retries": 0, **options}), sleep=lambda seconds: None)


def read(client: Client) -> object:
    return client.get("/api/thing", "read the thing")


def call(client: Client, verb: str) -> object:
    """One request of the verb."""
    if verb == "GET":
        return read(client)
    return client.send(verb, "/api/thing", action="change the thing").data


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("https://api.planasonix.com", None, id="https"),
        pytest.param("https://acme.planasonixapis.com/v1", None, id="prefix"),
        pytest.param("https://acme.planasonixapis.com:8443/v1/", None, id="port-and-slash"),
        pytest.param("HTTPS://API.PLANASONIX.COM", None, id="capitals"),
        pytest.param("http://127.0.0.1:8000", None, id="loopback"),
        pytest.param("http://127.8.9.10", None, id="loopback-net"),
        pytest.param("http://[::1]:8000/v1", None, id="loopback-ipv6"),
        pytest.param("http://localhost", None, id="localhost"),
        pytest.param("http://api.planasonix.com", "unencrypted; use https://", id="http"),
        pytest.param("http://192.0.2.1", "unencrypted", id="http-address"),
        pytest.param("http://localhost.example.com", "unencrypted", id="http-looks-like-localhost"),
        pytest.param("http://127.0.0.1.example.com", "unencrypted", id="http-looks-like-loopback"),
        pytest.param("http://127.0.0.1\t.example.com", "unencrypted", id="http-tab"),
        pytest.param(
            "http://127.0.0.1@192.0.2.1", "user name or password", id="user-looks-like-loopback"
        ),
        pytest.param("https://me:pw@api.planasonix.com", "user name or password", id="password"),
        pytest.param("https://api.planasonix.com?key=1", "query or a fragment", id="query"),
        pytest.param("https://api.planasonix.com/#top", "query or a fragment", id="fragment"),
        pytest.param("https://api.planasonix.com/?", "query or a fragment", id="empty-query"),
        pytest.param("https://api.planasonix.com/#", "query or a fragment", id="empty-fragment"),
        pytest.param("ftp://api.planasonix.com", "must be a URL such as", id="scheme"),
        pytest.param("api.planasonix.com", "must be a URL such as", id="no-scheme"),
        pytest.param("https://", "must be a URL such as", id="no-host"),
        pytest.param("https:///api", "must be a URL such as", id="only-a-path"),
        pytest.param("https://[::1", "must be a URL such as", id="broken-ipv6"),
        pytest.param("https://host:port", "must be a URL such as", id="port-is-no-number"),
        pytest.param("https://host:99999", "must be a URL such as", id="port-too-high"),
        pytest.param("", "must be a URL such as", id="empty"),
    ],
)
def test_url(url, message):
    if message is None:
        assert Connection(url, KEY).url == url
    else:
        with pytest.raises(InvalidOption, match=message):
            Connection(url, KEY)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"key": ""}, "api_key is empty", id="no-key"),
        pytest.param({"key": f"{KEY}\n"}, "line break", id="line-break-at-the-end"),
        pytest.param({"key": f"{KEY}\r\nX-Evil: 1"}, "line break", id="line-break-within"),
        pytest.param({"key": f"Bearer {KEY}"}, "holds a space", id="space"),
        pytest.param({"key": "schlüssel"}, "another character", id="umlaut"),
        pytest.param({"timeout": 0}, "timeout must be greater than 0", id="timeout-0"),
        pytest.param({"timeout": -1}, "timeout must be greater than 0", id="timeout-negative"),
        pytest.param({"deadline": 0}, "deadline must be greater than 0", id="deadline-0"),
        pytest.param({"deadline": 1e9}, "at most 86400", id="deadline-of-years"),
        pytest.param({"deadline": float("nan")}, "deadline must be", id="deadline-nan"),
        pytest.param({"retries": -1}, "must not be negative", id="retries"),
        pytest.param({"retry_budget": -0.1}, "must not be negative", id="budget"),
    ],
)
def test_other_refused_options(options, message):
    with pytest.raises(InvalidOption, match=message) as caught:
        Connection(**{"url": "https://api.planasonix.com", "key": KEY, **options})
    assert KEY not in caught.value.message


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("LocalHost", True),
        ("128.0.0.1", False),
        ("::2", False),
        ("example.com", False),
        ("0.0.0.0", False),
    ],
)
def test_is_loopback(host, loopback):
    assert is_loopback(host) is loopback


@pytest.mark.parametrize("prefix", ["", "/", "/v1", "/v1/", "/a/b//"])
def test_path_prefix(prefix):
    with ScriptedServer() as server, connect(server.url + prefix) as client:
        read(client)
        assert [request.path for request in server.requests] == [f"{prefix.rstrip('/')}/api/thing"]


def entry_path(item_id: object) -> str:
    change = delete_entry({"id": item_id, "cidr": "203.0.113.0/24"})
    return request_allowlist(change, {}).path


@pytest.mark.parametrize(
    "path",
    [key_path, channel_path, entry_path],
    ids=["key", "channel", "entry"],
)
@pytest.mark.parametrize(
    "item_id", ["../../organization", "a b", "a?b=c", "a#b", "a%2Fb", "ä", 7], ids=str
)
def test_ids_stay_one_part_of_the_path(path, item_id):
    with ScriptedServer() as server, connect(server.url) as client:
        client.send("DELETE", path(item_id), action="delete it")
        base, _slash, last = server.requests[0].path.rpartition("/")
        assert (base, last) == (path("x").rpartition("/")[0], quote(str(item_id), safe=""))


def test_one_connection_and_the_documented_headers():
    with ScriptedServer() as server, connect(server.url) as client:
        read(client)
        client.send("PUT", "/api/thing", {"name": "ä"}, action="change the thing")
        client.send("POST", "/api/thing", action="start the thing")
    first, second, third = (server.requests[number] for number in range(3))
    # A POST that must not be repeated goes over a connection that cannot have been closed.
    assert first.port == second.port != third.port
    assert {request.headers["Authorization"] for request in server.requests} == {f"Bearer {KEY}"}
    assert "X-Planasonix-Api-Key" not in first.headers
    assert (first.body, json.loads(second.body), third.body) == (b"", {"name": "ä"}, b"")
    assert (second.headers["Content-Type"], first.headers["Accept"]) == (
        "application/json",
        "application/json",
    )


@pytest.mark.parametrize(
    ("verb", "status", "followed"),
    [
        *(("GET", status, True) for status in (301, 302, 303, 307, 308)),
        *(
            (verb, status, status in (307, 308))
            for verb in ("PUT", "POST", "DELETE")
            for status in (301, 302, 303, 307, 308)
        ),
        *((verb, 300, False) for verb in ("GET", "PUT")),
    ],
)
def test_redirects_at_the_same_origin(verb, status, followed):
    with (
        ScriptedServer(Answer(status, "", {"Location": "/moved/thing"})) as server,
        connect(server.url) as client,
    ):
        if followed:
            assert call(client, verb) == {"ok": True}
            assert [(request.method, request.path) for request in server.requests] == [
                (verb, "/api/thing"),
                (verb, "/moved/thing"),
            ]
            assert {request.headers["Authorization"] for request in server.requests} == {
                f"Bearer {KEY}"
            }
        else:
            with pytest.raises(
                ApiError, match=rf"redirected to {server.url}/moved/thing, which is not followed"
            ) as caught:
                call(client, verb)
            assert (caught.value.status, len(server.requests)) == (status, 1)


@pytest.mark.parametrize("verb", ["GET", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_elsewhere_send_nothing_there(verb, status):
    with (
        ScriptedServer() as other,
        ScriptedServer(Answer(status, "", {"Location": f"{other.url}/thing?token=1"})) as server,
        connect(server.url) as client,
    ):
        with pytest.raises(
            ApiError, match=rf"redirected to {other.url}/thing, which is not followed"
        ):
            call(client, verb)
        assert (len(server.requests), other.requests) == (1, [])


@pytest.mark.parametrize(
    "location",
    ["https://{host}/thing", "//other.example.com/thing", "http://localhost:{port}/thing"],
    ids=["scheme", "host", "name"],
)
def test_another_origin_is_one_with_another_scheme_or_name(location):
    with ScriptedServer() as server, connect(server.url) as client:
        host = server.url.removeprefix("http://")
        server.script = [
            Answer(302, "", {"Location": location.format(host=host, port=host.partition(":")[2])})
        ]
        with pytest.raises(ApiError, match="which is not followed"):
            read(client)
        assert len(server.requests) == 1


def test_redirects_without_end():
    with (
        ScriptedServer(*[Answer(302, "", {"Location": "/api/thing"})] * 20) as server,
        connect(server.url) as client,
    ):
        with pytest.raises(ApiError, match="which is not followed"):
            read(client)
        assert len(server.requests) == 5


def test_a_redirect_without_a_target():
    with (
        ScriptedServer(Answer(302, "")) as server,
        connect(server.url) as client,
        pytest.raises(ApiError) as caught,
    ):
        read(client)
    assert caught.value.status == 302


def test_netrc_is_never_read(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password pw\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with ScriptedServer() as server, connect(server.url) as client:
        read(client)
        assert requests.get(server.url, timeout=5).ok
        ours, theirs = (request.headers["Authorization"] for request in server.requests)
    assert ours == f"Bearer {KEY}"
    assert theirs.startswith("Basic "), "the file would have been read"


class Recorder(requests.adapters.HTTPAdapter):
    """Notes how a certificate would be checked, and sends nothing."""

    def send(self, request, stream=False, timeout=None, verify=True, cert=None, proxies=None):
        self.seen = {"verify": verify, "timeout": timeout, "proxies": dict(proxies)}
        response = requests.Response()
        response.status_code, response.request = 200, request
        response.raw = io.BytesIO(b'{"data": {}}')
        return response


@pytest.mark.parametrize(
    ("options", "bundle", "verify"),
    [
        pytest.param({}, None, True, id="default"),
        pytest.param({}, "/bundle.pem", "/bundle.pem", id="bundle"),
        pytest.param({"ca_path": "/ca.pem"}, None, "/ca.pem", id="ca_path"),
        pytest.param({"ca_path": "/ca.pem"}, "/bundle.pem", "/ca.pem", id="ca_path-wins"),
        pytest.param({"validate_certs": False}, None, False, id="validate_certs"),
        pytest.param({"validate_certs": False}, "/bundle.pem", False, id="validate_certs-wins"),
        pytest.param(
            {"validate_certs": False, "ca_path": "/ca.pem"},
            "/bundle.pem",
            False,
            id="validate_certs-before-ca_path",
        ),
    ],
)
def test_certificates(options, bundle, verify, monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if bundle:
            monkeypatch.setenv(name, bundle)
    recorder = Recorder()
    with connect("https://api.example.com", timeout=12.5, **options) as client:
        client.session.mount("https://", recorder)
        read(client)
    assert (recorder.seen["verify"], recorder.seen["timeout"]) == (verify, 12.5)


def test_proxy_variables_are_honoured(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com:3128")
    monkeypatch.setenv("NO_PROXY", "direct.example.com")
    seen = []
    for host in ("api.example.com", "direct.example.com"):
        recorder = Recorder()
        with connect(f"https://{host}") as client:
            client.session.mount("https://", recorder)
            read(client)
        seen.append(recorder.seen["proxies"].get("https"))
    assert seen == ["http://proxy.example.com:3128", None]


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST"])
def test_plain_http_to_this_machine_goes_by_no_proxy(variable, host, monkeypatch):
    """The proxy, which may be another machine, would get the key unencrypted."""
    moved = Answer(307, "", {"Location": "/moved"})
    with ScriptedServer() as proxy, ScriptedServer(moved) as server:
        monkeypatch.setenv(variable, proxy.url)
        with connect(server.url.replace("127.0.0.1", host) + "/v1") as client:
            assert read(client) == {"ok": True}
            client.send("PUT", "/api/thing", {}, action="change the thing")
    assert (len(server.requests), proxy.requests) == (3, [])


PROXY_PASSWORD = "pr0xy-pw"


@pytest.mark.parametrize(
    ("variable", "proxy", "fault"),
    [
        ("ALL_PROXY", "socks5h://me:{}@127.0.0.1:1", "SOCKS needs the Python library PySocks"),
        ("HTTPS_PROXY", "socks4://me:{}@127.0.0.1:1", "SOCKS needs the Python library PySocks"),
        ("HTTPS_PROXY", "http://", "its URL is malformed"),
        ("HTTPS_PROXY", "://", "its URL is malformed"),
        ("HTTPS_PROXY", "http:/me:{}@127.0.0.1", "its URL is malformed"),
        ("HTTPS_PROXY", "http://me:{}@[bad", "its URL is malformed"),
        ("HTTPS_PROXY", "http://me:{}@host:port", "its URL is malformed"),
        ("HTTPS_PROXY", "http://me:{}@.bad..host:8", "its URL is malformed"),
        ("HTTPS_PROXY", "https://me:{}@127.0.0.1:99999", "its URL is malformed"),
        ("HTTPS_PROXY", "foo://me:{}@x:1", "its scheme is not supported"),
    ],
)
def test_a_proxy_variable_that_cannot_be_used(variable, proxy, fault, monkeypatch):
    monkeypatch.setitem(sys.modules, "socks", None)
    monkeypatch.setattr(requests.adapters, "SOCKSProxyManager", without_socks)
    monkeypatch.setenv(variable, proxy.format(PROXY_PASSWORD))
    pauses: list[float] = []
    with Client(Connection("https://api.example.com", KEY), sleep=pauses.append) as client:
        for verb in ("GET", "POST"):
            with pytest.raises(NoConnection) as caught:
                call(client, verb)
            action = "read the thing" if verb == "GET" else "change the thing"
            assert caught.value.message == (
                f"Could not {action}: the proxy that the environment names for api.example.com "
                f"cannot be used: {fault}. Correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, "
                "or name api.example.com in NO_PROXY."
            )
    assert pauses == []


def test_a_dead_proxy_is_named_without_its_password(monkeypatch):
    port = closed_port()
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{PROXY_PASSWORD}@127.0.0.1:{port}/")
    with connect("https://api.example.com") as client, pytest.raises(NoConnection) as caught:
        read(client)
    assert re.fullmatch(
        "Could not read the thing: no connection to api.example.com through the proxy "
        rf"127.0.0.1:{port} \(.*refused.*\); check this proxy, HTTPS_PROXY, HTTP_PROXY and "
        "ALL_PROXY, or name api.example.com in NO_PROXY.",
        caught.value.message,
    )
    assert PROXY_PASSWORD not in caught.value.message


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://proxy.example.com:3128", "proxy.example.com:3128"),
        ("http://me:pw@proxy.example.com:3128/", "proxy.example.com:3128"),
        ("http://me:p@w/x@proxy.example.com", "proxy.example.com"),
        ("me:pw@proxy.example.com:3128", "proxy.example.com:3128"),
        ("socks5h://me:pw@[::1]:1080?a=b", "[::1]:1080"),
        ("http://a\u202eb", "a\\u202eb"),
    ],
)
def test_proxy_host(url, host):
    assert proxy_host(url) == host


def without_socks(*dummy: object, **dummy_options: object) -> t.NoReturn:
    """What requests has in place of the manager where the library is missing."""
    raise requests.exceptions.InvalidSchema("Missing dependencies for SOCKS support.")


def test_a_host_that_is_no_name():
    with connect("https://a..example.com") as client:
        with pytest.raises(ApiError, match="check api_url"):
            read(client)


def proxy_error(reason: Exception) -> requests.exceptions.ProxyError:
    """What requests raises for a failure at or behind a proxy."""
    inner = urllib3.exceptions.ProxyError("Unable to connect to proxy", reason)
    return requests.exceptions.ProxyError(urllib3.exceptions.MaxRetryError(None, "/", inner))  # type: ignore[arg-type]


UNKNOWN_PROXY = urllib3.exceptions.NewConnectionError(None, "No address associated with hostname")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("exception", "message", "pauses"),
    [
        pytest.param(
            requests.exceptions.SSLError("certificate verify failed"),
            r"TLS certificate of api.example.com cannot be trusted \(certificate verify",
            0,
            id="tls",
        ),
        pytest.param(
            requests.exceptions.ConnectTimeout("slow"),
            "no connection to api.example.com",
            2,
            id="connect-timeout",
        ),
        pytest.param(
            proxy_error(urllib3.exceptions.NewConnectionError(None, "refused")),
            "proxy variables",
            2,
            id="no-proxy",
        ),  # type: ignore[arg-type]
        pytest.param(proxy_error(UNKNOWN_PROXY), "no connection", 2, id="unknown-proxy"),
        pytest.param(
            proxy_error(OSError("Tunnel connection failed: 403 Forbidden")),
            "proxy variables",
            2,
            id="no-tunnel",
        ),
        pytest.param(
            proxy_error(ConnectionResetError("reset")),
            "gave no whole answer to POST /api/thing",
            0,
            id="broken-behind-a-proxy",
        ),
        pytest.param(
            requests.exceptions.SSLError(
                "[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version"
            ),
            "agree on no version of TLS, or no cipher",
            0,
            id="tls-versions",
        ),
        pytest.param(
            requests.exceptions.ConnectionError(
                urllib3.exceptions.ProtocolError(
                    "Connection aborted.", PermissionError(13, "Permission denied")
                )
            ),
            "the file of ca_path, or of the environment's authorities, cannot be read",
            0,
            id="unreadable-authorities",
        ),
        pytest.param(
            requests.exceptions.SSLError("UNEXPECTED_EOF_WHILE_READING"),
            "gave no whole answer to POST /api/thing",
            0,
            id="tls-broken-off",
        ),
        pytest.param(
            requests.exceptions.ReadTimeout("slow"),
            "gave no whole answer to POST /api/thing",
            0,
            id="read-timeout",
        ),
        pytest.param(
            requests.exceptions.ContentDecodingError("gzip"), "cannot be decoded", 0, id="encoding"
        ),
        pytest.param(
            requests.exceptions.InvalidURL("bad"), "InvalidURL for api.example.com", 0, id="url"
        ),
        pytest.param(requests.exceptions.ConnectionError(), "ConnectionError", 0, id="no-reason"),
    ],
)
def test_no_answer_at_all(exception, message, pauses):
    pauses_made: list[float] = []

    class Broken(requests.adapters.HTTPAdapter):
        def send(self, *dummy_arguments, **dummy_more):
            raise exception

    with Client(
        Connection("https://api.example.com", KEY, retries=2), sleep=pauses_made.append
    ) as client:
        client.session.mount("https://", Broken())
        with pytest.raises(ApiError, match=message) as caught:
            client.send("POST", "/api/thing", {}, action="change the thing")
    assert len(pauses_made) == pauses
    assert (caught.value.status, caught.value.details) == (
        None,
        {"method": "POST", "path": "/api/thing"},
    )


def test_no_tls_at_the_other_end_is_not_retried():
    with (
        ScriptedServer() as server,
        connect(server.url.replace("http://", "https://"), retries=5) as client,
        pytest.raises(ApiError, match="TLS") as caught,
    ):
        read(client)
    assert caught.value.status is None


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["missing", "garbage"])
def test_ca_path_that_is_of_no_use(content, tmp_path):
    authority = tmp_path / "ca.pem"
    if content is not None:
        authority.write_text(content)
    with (
        ScriptedServer() as server,
        connect(server.url.replace("http://", "https://"), ca_path=str(authority)) as client,
    ):
        with pytest.raises(ApiError, match="ca_path"):
            read(client)
        assert not server.requests


@pytest.mark.parametrize("source", ["ca_path", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("path", ["pipe", "/dev/zero"])
def test_authorities_that_could_be_read_for_ever(source, path, tmp_path, monkeypatch):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    path = path.replace("pipe", str(pipe))
    options = {source: path}
    if source != "ca_path":
        options = {}
        monkeypatch.setenv(source, path)
    with pytest.raises(InvalidOption, match=f"{path}, which .* is neither a file nor a folder"):
        connect("https://api.example.com", **options)


def test_ca_path_that_may_not_be_read(tmp_path, monkeypatch):
    """For root, as which the tests may run, any file may be read."""
    authority = tmp_path / "ca.pem"
    authority.touch()

    def refuse(*dummy_arguments: object, **dummy_more: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", refuse)
    pauses: list[float] = []
    with ScriptedServer() as server:
        with Client(
            Connection(server.url.replace("http://", "https://"), KEY, ca_path=str(authority)),
            sleep=pauses.append,
        ) as client:
            with pytest.raises(
                ApiError,
                match="the file of ca_path, or of the environment's authorities, cannot be read",
            ):
                client.send("POST", "/api/thing", {}, action="change the thing")
        assert (server.requests, pauses) == ([], [])


def test_unreachable_host_is_one_clear_sentence():
    port = closed_port()
    with connect(f"http://127.0.0.1:{port}") as client, pytest.raises(ApiError) as caught:
        read(client)
    assert caught.value.message.startswith(
        f"Could not read the thing: no connection to 127.0.0.1:{port} ("
    )
    assert "0x" not in caught.value.message and "Pool" not in caught.value.message
    assert "Connection(" not in caught.value.message
    assert caught.value.message.endswith("check api_url, the network and proxy variables.")


def test_read_only_sends_no_write():
    with ScriptedServer() as server:
        with Client(Connection(server.url, KEY), read_only=True) as client:
            read(client)
            for verb in ("POST", "PUT", "DELETE"):
                with pytest.raises(RuntimeError, match="in check mode"):
                    client.send(verb, "/api/thing", action="change the thing")
        assert [request.method for request in server.requests] == ["GET"]
