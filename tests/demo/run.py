# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show the collection at work, against a simulator of the API: `make demo`.

Needs Python 3.10 or newer with pip, git, and PyPI; uses the standard library alone. Everything it makes is in one temporary folder, which it removes.
Each step is verified: where one does not do what it promises, the demo ends with status 1 and says so.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

TESTS = Path(__file__).resolve().parents[1]
REPOSITORY = TESTS.parent
if TYPE_CHECKING:
    from simulator.process import Simulator

PYTHONS = ("python3.14", "python3.13", "python3.12", "python3.11", "python3.10")
STRAYS = ("ANSIBLE_", "DEMO_", "GIT_", "PLANASONIX_", "PYTHON")
"""Variables of the user's environment that would lead ansible, git or Python astray."""
STRAY_NAMES = (
    "PIP_PREFIX",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_ROOT",
    "PIP_TARGET",
    "PIP_USER",
    "VIRTUAL_ENV",
)
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy")
TASKS = 5
"""Tasks of onboard.yml; each of them changes a new organization."""
AUTOMATION = "198.51.100.10"
"""The address that the simulator takes the demo's requests to come from; onboard.yml lists it."""
DESCRIBE_PYTHON = """
import json, ssl, sys, venv
def version_of(name):
    try:
        return [int(number) for number in __import__(name).__version__.split(".")[:2]] if name == "pip" else bool(__import__(name))
    except ImportError:
        return None
print(json.dumps({"path": sys.executable, "version": sys.version_info[:3], "pip": version_of("pip"), "ensurepip": version_of("ensurepip")}))
"""

# What colleagues did in the product's UI while nobody watched: organization, in words, request, and the lines of the diff that show it.
SPOILED_TIMEZONE = "Europe/London"
DRIFT = {
    "globex": (
        (
            "set the time zone to Europe/London",
            "POST",
            "/api/settings",
            {"default_timezone": SPOILED_TIMEZONE},
        ),
        (
            "opened the allowlist to the whole internet",
            "POST",
            "/api/settings/ip-whitelist",
            {"cidr": "0.0.0.0/0", "label": "temporary"},
        ),
    ),
    "initech": (
        (
            "removed the office from the allowlist",
            "DELETE",
            "/api/settings/ip-whitelist/{Office}",
            None,
        ),
    ),
}
DRIFT_TASKS = {"acme-analytics": 0, "globex": 2, "initech": 1}
"""Tasks that change something, by organization, while the drift is there."""
DRIFT_LINES = {
    f'-"default_timezone": "{SPOILED_TIMEZONE}"',
    '+"default_timezone": "Europe/Berlin"',
    '-"cidr": "0.0.0.0/0",',
    '-"label": "temporary"',
    '+"cidr": "203.0.113.0/24",',
    '+"label": "Office"',
}
NO_CHANGE = dict.fromkeys(DRIFT_TASKS, 0)


class DemoError(Exception):
    """A step could not be done, or did not do what it promises; the text is for the user."""


def main() -> int:
    """Run the demo; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tarball",
        type=Path,
        metavar="FILE",
        help="the collection to show, as ansible-galaxy built it (default: build this checkout)",
    )
    tarball = parser.parse_args().tarball
    if sys.version_info < (3, 10):
        # Too old for the simulator's code, but a newer one may be here.
        os.execv(
            find_python()["path"],
            [find_python()["path"], str(Path(__file__).resolve()), *sys.argv[1:]],
        )
    started = time.monotonic()
    for name in list(os.environ):
        if name.startswith(STRAYS) or name in STRAY_NAMES:
            del os.environ[name]
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    with temporary_folder() as folder:
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(folder / "pycache")
        programs = prepare(folder, tarball)
        with simulator(programs / "python") as simulated:
            note(f"ready after {time.monotonic() - started:.0f} s")
            show(Stage(folder, programs, simulated))
    seconds = time.monotonic() - started
    print(
        f"\n{bold('The demo went as promised')}, in {seconds:.0f} s. All that it made is removed; only pip's cache may have grown.",
        flush=True,
    )
    return 0


def interrupt(number: int, _frame: object) -> None:
    """Leave by way of all clean-ups."""
    sys.exit(128 + number)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is removed at the end, without interruption."""
    folder = Path(tempfile.mkdtemp(prefix="planasonix-demo-")).resolve()
    try:
        yield folder
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def simulator(python: Path) -> Iterator[Simulator]:
    """The simulator with three organizations, on a free port, as a process that has all it needs."""
    sys.path.insert(0, str(TESTS))
    from simulator.process import Simulator, SimulatorError

    simulated = Simulator(len(DRIFT_TASKS), python=str(python), idle_exit=300)
    finished = False
    try:
        simulated.start()
        simulated.options(client_addresses=dict.fromkeys(simulated.slugs, AUTOMATION))
        yield simulated
        finished = True
    except BrokenPipeError:
        raise  # nobody reads what the demo prints
    except (SimulatorError, OSError, http.client.HTTPException) as error:
        raise DemoError(f"The simulator failed: {error}") from error
    finally:
        # Ctrl-C reaches the simulator too, and its complaint about that is of no interest.
        simulated.stop(show_errors=finished)


# --- What is prepared ---


def find_python() -> dict[str, Any]:
    """The newest Python of this machine that runs and can make an environment.

    :raises DemoError: if there is none.
    """
    folders = [Path(name) for name in os.environ.get("PATH", os.defpath).split(os.pathsep) if name]
    # A shim of pyenv fails unless its version is selected; the real Pythons are beside the shims.
    roots = [folder.parent for folder in folders if folder.name == "shims"]
    folders += [folder for root in roots for folder in sorted(root.glob("versions/3.*/bin"))]
    paths = [
        str(folder / name) for name in PYTHONS for folder in folders if (folder / name).is_file()
    ]
    for path in [*paths, sys.executable, shutil.which("python3")]:
        found = describe_python(path) if path else None
        if found and found["version"] >= [3, 10] and (found["ensurepip"] or has_useful_pip(found)):
            return found
    here = ".".join(map(str, sys.version_info[:3]))
    raise DemoError(
        f"The demo needs Python 3.10 or newer, with pip; there is none on PATH (this is Python {here}). Install one, or run `make demo PYTHON=<path>`."
    )


def describe_python(path: str) -> dict[str, Any] | None:
    """What a Python says of itself; ``None`` if it does not run or lacks what venv and pip need."""
    try:
        answer = subprocess.run(
            [path, "-c", DESCRIBE_PYTHON],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            check=False,
        )
        return json.loads(answer.stdout) if answer.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def has_useful_pip(python: dict[str, Any]) -> bool:
    """Whether its pip can install into an environment that has none, which saves a few seconds."""
    return python["pip"] is not None and python["pip"] >= [22, 3]


def prepare(folder: Path, tarball: Path | None) -> Path:
    """Make an environment with ansible-core, the simulator's requirements and the collection; returns its folder of programs.

    :param tarball: The collection; without one it is built from this checkout.
    :raises DemoError: if any of it fails.
    """
    python = find_python()
    version = ".".join(map(str, python["version"]))
    origin = "from its tarball" if tarball else "built from this checkout"
    heading(
        "Preparing",
        f"Python {version}, ansible-core and the simulator in a temporary folder; the collection, {origin}",
    )
    venv = folder / "venv"
    inner = str(venv / "bin" / "python")
    if has_useful_pip(python):
        quietly(
            [python["path"], "-m", "venv", "--without-pip", str(venv)],
            "A virtual environment could not be made",
        )
        pip = [python["path"], "-m", "pip", "--python", inner]
    else:
        quietly(
            [python["path"], "-m", "venv", str(venv)], "A virtual environment could not be made"
        )
        pip = [inner, "-m", "pip"]
    # Without bytecode: most of ansible-core is never run here.
    options = ["--quiet", "--no-compile", "--no-input", "--disable-pip-version-check"]
    requirements = [
        "-r",
        str(REPOSITORY / "meta" / "ee-requirements.txt"),
        "-r",
        str(TESTS / "simulator" / "requirements.txt"),
    ]
    complaint = (
        "pip could not install ansible-core and the simulator's requirements; is PyPI reachable?"
    )
    quietly([*pip, "install", *options, "ansible-core", *requirements], complaint)

    set_up_ansible(folder)
    galaxy = str(venv / "bin" / "ansible-galaxy")
    if tarball is None:
        source = folder / "source"
        export(source)
        quietly(
            [galaxy, "collection", "build", "--output-path", str(folder), str(source)],
            "The collection could not be built",
        )
        (tarball,) = folder.glob("*.tar.gz")
    install = [
        galaxy,
        "collection",
        "install",
        "--offline",
        "--no-deps",
        "--collections-path",
        os.environ["ANSIBLE_COLLECTIONS_PATH"],
        str(tarball),
    ]
    quietly(install, "The collection could not be installed")
    note(f"installed {tarball.name}")
    return venv / "bin"


def set_up_ansible(folder: Path) -> None:
    """Let ansible see what the demo made and nothing of the user's: no settings, no other collections, no proxy between it and the simulator."""
    for name in (*PROXIES, *map(str.upper, PROXIES)):
        os.environ.pop(name, None)
    config = folder / "ansible.cfg"
    config.write_text("[defaults]\n", encoding="utf-8")
    home = folder / "home"
    home.mkdir()
    os.environ.update(
        HOME=str(home),
        LC_ALL="en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8",
        ANSIBLE_CONFIG=str(config),
        ANSIBLE_HOME=str(home / ".ansible"),
        ANSIBLE_COLLECTIONS_PATH=str(folder / "collections"),
        **({"ANSIBLE_FORCE_COLOR": "true"} if in_colour() else {"ANSIBLE_NOCOLOR": "true"}),
    )


def export(target: Path) -> None:
    """Copy what belongs to the repository, or is about to: nothing that git ignores gets into the collection.

    :raises DemoError: if this is no git checkout.
    """
    # Git refuses the checkout of another user, such as root looking at yours, unless told otherwise.
    command = [
        "git",
        "-c",
        "safe.directory=*",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    for name in filter(
        None,
        quietly(
            command,
            "The demo builds the collection from a git checkout, and git does not take this folder for one",
        ).split("\0"),
    ):
        if os.path.lexists(REPOSITORY / name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name, follow_symlinks=False)


# --- What is shown ---


class Stage:
    """What the steps share.

    :param folder: The temporary folder.
    :param programs: Where ansible-playbook is.
    :param simulated: The simulator.
    """

    def __init__(self, folder: Path, programs: Path, simulated: Simulator) -> None:
        self.programs = programs
        self.simulated = simulated
        self.secrets = folder / "secrets"
        self.secrets.mkdir(mode=0o700)
        self.reports = folder / "report"
        self.keys = dict(zip(simulated.slugs, simulated.keys, strict=True))
        os.environ["DEMO_API_URL"] = simulated.url
        os.environ["DEMO_SECRETS_FOLDER"] = str(self.secrets)
        for slug, key in self.keys.items():
            os.environ[f"DEMO_KEY_{slug.upper().replace('-', '_')}"] = key

    def run(self, playbook: str, *options: str) -> tuple[int, str]:
        """Run a playbook, its output on screen; returns its status, and the output without colours."""
        self.simulated.clear_log()
        arguments = ["-i", str(Path("tests", "demo", "inventory.yml")), playbook, *options]
        print(f"$ ansible-playbook {' '.join(arguments)}", flush=True)
        return run([str(self.programs / "ansible-playbook"), *arguments], echo=True)

    def audit(self, passes: bool) -> None:
        """Audit all organizations, and look at the verdict and the report.

        :raises DemoError: if the verdict is another, the report is not whole, or anything was written.
        """
        status, output = self.run(
            "planasonix.admin.audit", "-e", f"compliance_audit_report_dir={self.reports}"
        )
        require((status == 0) is passes, f"The audit was to {'pass' if passes else 'fail'}.")
        require(("All 3 organizations comply" in output) is passes, "The verdict was to be told.")
        require(self.writes() == 0, "The audit sent a write.")
        formats = {path.suffix for path in self.reports.iterdir()}
        require(
            formats == {".csv", ".html", ".json", ".md", ".sarif", ".xml"},
            f"The report was to be written in six formats, and has {sorted(formats)}.",
        )
        report = json.loads((self.reports / "planasonix-audit.json").read_text(encoding="utf-8"))
        require(
            len(report["organizations"]) == len(self.keys),
            "The report was to hold each organization.",
        )

    def play(self, changed: dict[str, int], *options: str) -> str:
        """Run onboard.yml, its output on screen; returns the output without colours.

        :param changed: How many tasks must report a change, by organization.
        :raises DemoError: if another number does, or one fails.
        """
        status, output = self.run(str(Path("tests", "demo", "onboard.yml")), *options)
        pattern = r"^(\S+) +: ok=(\d+) +changed=(\d+) +unreachable=(\d+) +failed=(\d+)"
        recap = {
            match[1]: tuple(map(int, match.groups()[1:]))
            for match in re.finditer(pattern, output, re.MULTILINE)
        }
        promised = {host: (TASKS, number, 0, 0) for host, number in changed.items()}
        if status != 0 or recap != promised:
            wanted = ", ".join(f"{host}: changed={number}" for host, number in changed.items())
            raise DemoError(f"The recap is not as promised, which is {wanted} and no failure.")
        return output

    def call(self, key: str, method: str, path: str, body: Any = None) -> Any:
        """Send a request as anybody else would; returns ``data`` of the answer.

        :raises DemoError: if it is refused.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.simulated.port, timeout=30)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise DemoError(
                f"{method} {path} answered {answer.status}: {text.decode(errors='replace')}"
            )
        return json.loads(text)["data"] if text else None

    def writes(self) -> int:
        """How many requests of the last run could have changed something."""
        return len(self.simulated.writes())

    def managed(self) -> dict[str, Any]:
        """What onboard.yml is to keep as it is, by organization."""
        states = {slug: self.simulated.state(slug) for slug in self.keys}
        return {
            slug: (
                state["settings"],
                state["ip_whitelist"]["enabled"],
                sorted(
                    (entry["cidr"], entry["label"]) for entry in state["ip_whitelist"]["entries"]
                ),
            )
            for slug, state in states.items()
        }


def show(stage: Stage) -> None:
    """Show the steps, and verify each.

    :raises DemoError: at the first that is not as promised.
    """
    heading(
        "1. Onboard three organizations",
        "each task of tests/demo/onboard.yml is `changed`, in each organization",
    )
    stage.play(dict.fromkeys(stage.keys, TASKS))
    for slug in stage.keys:
        require(
            len(stage.simulated.state(slug)["deliveries"]) == 1,
            f"{slug} was to get one test notification.",
        )
        secret = stage.secrets / f"{slug}.key"
        require(
            secret.is_file() and stat.S_IMODE(secret.stat().st_mode) == 0o600,
            f"{secret.name} was to hold the new key's secret, with mode 0600.",
        )
        stage.call(secret.read_text(encoding="utf-8"), "GET", "/api/settings")
    confirm(
        "each channel got a test notification, each new API key works, and its secret is in a file with mode 0600"
    )

    heading("2. Run it again", "every task is `ok`: what is as it should be is left alone")
    stage.play(NO_CHANGE)
    require(stage.writes() == 0, "The second run sent a write.")
    good = stage.managed()
    confirm("nothing changed, and the API got no request but GET")

    heading("3. Meanwhile, behind its back", "two organizations drift from what was agreed")
    for slug, changes in DRIFT.items():
        for words, method, path, body in changes:
            stage.call(stage.keys[slug], method, path.format_map(entry_ids(stage, slug)), body)
            print(f"   {slug}: a colleague {words}", flush=True)

    heading(
        "4. Look before you leap: --check --diff",
        "exactly this drift, line by line, and nothing of it is touched; acme-analytics is `ok`",
    )
    spoiled = stage.managed()
    output = stage.play(DRIFT_TASKS, "--check", "--diff")
    lines = {
        f"{match[1]}{match[2].strip()}"
        for match in re.finditer(r'^([+-])( +".*)$', output, re.MULTILINE)
    }
    require(
        lines == DRIFT_LINES,
        f"The diff was to show {sorted(DRIFT_LINES)}, and shows {sorted(lines)}.",
    )
    require(stage.writes() == 0 and stage.managed() == spoiled, "Check mode changed something.")
    confirm("the diff shows the three changes and no other, and the API got no request but GET")

    heading("5. Repair", "the same three tasks are `changed`, and no other")
    stage.play(DRIFT_TASKS)
    require(stage.managed() == good, "The organizations are not as they were before the drift.")
    confirm("all organizations are as they were")

    heading(
        "6. Audit",
        "the play fails: the verdict names how many controls of the profile `foundation` are not met; nothing is written",
    )
    stage.audit(passes=False)
    confirm(
        f"one report of all organizations was written, in six formats ({', '.join(sorted(path.name for path in stage.reports.iterdir()))})"
    )

    heading("7. Harden", "one task per organization is `changed`: it meets all that can be met")
    snapshots = ("-e", f"planasonix_snapshot_dir={stage.reports.parent / 'snapshots'}")
    status, _output = stage.run("planasonix.admin.harden", *snapshots)
    require(status == 0 and stage.writes() > 0, "Hardening was to change the organizations.")
    status, output = stage.run("planasonix.admin.harden", "--check", *snapshots)
    require(
        status == 0 and len(re.findall(r"changed=0 ", output)) == len(stage.keys),
        "Hardened organizations were to be left alone.",
    )
    confirm("a second run would change nothing")

    heading(
        "8. Audit again",
        "the play passes; what is waived, or not in an organization's plan, is told",
    )
    stage.audit(passes=True)
    confirm("all organizations comply")


def entry_ids(stage: Stage, slug: str) -> dict[str, str]:
    """Ids of the allowlist's entries, by label."""
    return {
        entry["label"]: entry["id"]
        for entry in stage.simulated.state(slug)["ip_whitelist"]["entries"]
    }


def require(promise: bool, text: str) -> None:
    """:raises DemoError: with the text, if the promise is not kept."""
    if not promise:
        raise DemoError(text)


# --- Processes and the screen ---


def run(command: list[str], echo: bool = False) -> tuple[int, str]:
    """Run a program in the repository, and end it with all that it started if the demo is interrupted; returns its status and its output without colours.

    :param echo: Whether the output is shown as it comes.
    """
    # In a session of its own, so that Ctrl-C reaches it once, from here.
    with subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout
        text = ""
        try:
            for line in process.stdout:
                text += line
                if echo:
                    print(line, end="", flush=True)
            status = process.wait()
        except BaseException:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(
                    ProcessLookupError, PermissionError, subprocess.TimeoutExpired
                ):
                    os.killpg(process.pid, number)
                    process.wait(5)
            raise
    return status, re.sub(r"\x1b\[[0-9;]*m", "", text)


def quietly(command: list[str], complaint: str) -> str:
    """Run a program whose output matters only if it fails; returns the output.

    :raises DemoError: with the complaint, after the output was shown.
    """
    try:
        status, output = run(command)
    except OSError as error:
        raise DemoError(f"{complaint}: {command[0]} cannot be run ({error.strerror}).") from None
    if status != 0:
        print(output, file=sys.stderr)
        raise DemoError(f"{complaint} (see above; {Path(command[0]).name} ended with {status}).")
    return output


def in_colour() -> bool:
    """Whether the screen is a terminal whose user has nothing against colours."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if in_colour() else text


def heading(title: str, look: str) -> None:
    """Begin a step: what happens, and what to look at."""
    print(
        f"\n{bold(f'=== {title} ===')}\n{'' if title == 'Preparing' else 'Look at: '}{look}.",
        flush=True,
    )


def note(text: str) -> None:
    print(f"   {text}", flush=True)


def confirm(text: str) -> None:
    """End a step that was verified."""
    print(bold(f"--> Verified: {text}."), flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DemoError as error:
        print(f"\nThe demo failed. {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\nThe demo was interrupted; what it made is removed.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # Nobody reads on. Python would complain when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
