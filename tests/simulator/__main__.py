# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the simulator: `python -m simulator`, from the folder `tests`."""

from __future__ import annotations

import argparse
import errno
import sys
from pathlib import Path

from .options import Options
from .server import SimulatorServer, listen
from .simulation import Simulation


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def _not_negative(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is negative or not finite")
    return number


def _rate_limit(text: str) -> str:
    requests, dummy, seconds = text.partition("/")
    return f"{_positive(requests)}/{_positive(seconds)}"


def _prefix(text: str) -> str:
    return "/" + text.strip("/") if text.strip("/") else ""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="simulator", description="Simulate the Planasonix admin API."
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--port", type=int, default=0, help="port to listen on; 0 takes a free one (default)"
    )
    parser.add_argument(
        "--port-file",
        type=Path,
        metavar="PATH",
        help="file that gets the port number once the simulator listens",
    )
    parser.add_argument(
        "--organizations",
        type=_positive,
        default=3,
        metavar="N",
        help="number of organizations (default: %(default)s)",
    )
    parser.add_argument(
        "--prefix", type=_prefix, default="", metavar="/v1", help="path before /api (default: none)"
    )
    parser.add_argument(
        "--page-size",
        type=_positive,
        metavar="N",
        help="give lists in pages of at most N items (default: whole)",
    )
    parser.add_argument(
        "--latency-ms",
        type=_not_negative,
        default=0,
        metavar="N",
        help="delay of each answer in milliseconds (default: none)",
    )
    parser.add_argument(
        "--rate-limit",
        type=_rate_limit,
        metavar="N/SECONDS",
        help="requests of one key in so many seconds (default: no limit)",
    )
    parser.add_argument(
        "--certificate",
        type=Path,
        metavar="PEM",
        help="file with a private key and its certificate, to speak TLS (default: plain HTTP)",
    )
    parser.add_argument(
        "--access-log",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="show a line for each request (default: no)",
    )
    parser.add_argument(
        "--idle-exit",
        type=_not_negative,
        default=0,
        metavar="SECONDS",
        help="end after so long without a request (default: never)",
    )
    parser.add_argument(
        "--parent",
        type=_positive,
        metavar="PID",
        help="end when this process, which must have started it, is gone",
    )
    parser.add_argument(
        "--workers",
        type=_positive,
        default=1,
        metavar="N",
        help="processes that share the port, for reading alone (default: %(default)s)",
    )
    parsed = parser.parse_args(arguments)
    if parsed.workers > 1 and parsed.rate_limit:
        parser.error("--rate-limit needs a single worker: each of several would count for itself")
    return parsed


def main() -> int:
    arguments = parse_arguments()
    options = Options(
        page_size=arguments.page_size,
        latency_ms=round(arguments.latency_ms),
        rate_limit=arguments.rate_limit,
        read_only=arguments.workers
        > 1,  # each has a state of its own, and a write would reach one of them
    )
    if arguments.port_file:
        arguments.port_file.unlink(
            missing_ok=True
        )  # whoever waits for it must not find the one of an earlier run
    try:
        listener = listen(arguments.host, arguments.port)
    except (OSError, OverflowError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            reason = "is in use; choose another one with --port, or 0 for any that is free"
        else:
            reason = f"cannot be used: {getattr(error, 'strerror', None) or error}"
        print(f"Port {arguments.port} on {arguments.host} {reason}.", file=sys.stderr)
        return 2
    simulation = Simulation(arguments.organizations, options, arguments.prefix, arguments.workers)
    server = SimulatorServer(
        simulation,
        listener,
        arguments.port_file,
        arguments.idle_exit,
        arguments.parent,
        arguments.access_log,
        arguments.certificate,
    )
    server.run_workers(listener)
    return 0


if __name__ == "__main__":
    sys.exit(main())
