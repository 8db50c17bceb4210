# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Options of every module: where the API is and how to talk to it
    DOCUMENTATION = r"""
options:
  api_url:
    description:
      - Base URL of the Planasonix API. It may end in a path prefix, such as
        V(https://acme.planasonixapis.com/v1).
      - Plain V(http://) is refused except for the loopback interface, since it would send the API
        key unencrypted. No proxy is used for it.
      - If left out, the variable C(planasonix_api_url) of the host is used. Otherwise it is the
        environment variable E(PLANASONIX_API_URL), first of the task's C(environment), then of the
        controller.
    type: str
    default: https://api.planasonix.com
  api_key:
    description:
      - API key of the organization. It must have an administrative scope, such as
        V(admin:organization), or belong to an administrator.
      - If left out, the variable C(planasonix_api_key) of the host is used. Otherwise it is the
        environment variable E(PLANASONIX_API_KEY), first of the task's C(environment), then of the
        controller.
      - The tasks of this collection do not print the key, even with C(-vvv) and a key from the
        C(environment) of the task. Other tasks with the same C(environment) print it, and so does
        Ansible's task that reads the result of one with C(async).
    type: str
    required: true
  validate_certs:
    description:
      - Whether the TLS certificate of the server is checked. Set it to V(false) for tests only.
      - If left out, the environment variable E(PLANASONIX_VALIDATE_CERTS) is used.
    type: bool
    default: true
  ca_path:
    description:
      - File or folder with the certificate authorities to trust instead of the default ones.
      - If left out, the environment variable E(PLANASONIX_CA_PATH) is used.
    type: path
  timeout:
    description:
      - Seconds to wait for a connection, and between two parts of an answer.
      - If left out, the environment variable E(PLANASONIX_TIMEOUT) is used.
    type: float
    default: 30
  deadline:
    description:
      - Seconds until one request must be complete, redirects included. A request that takes
        longer fails, and its seconds count for O(retry_budget).
      - If left out, the environment variable E(PLANASONIX_DEADLINE) is used.
    type: float
    default: 120
  retries:
    description:
      - Maximum number of times that one request is repeated after the API answered C(408), C(429),
        C(502) to C(504) or C(520) to C(524), or gave no answer.
      - Before the module repeats a request that creates something, it reads whether the first one
        succeeded.
    type: int
    default: 5
  retry_budget:
    description:
      - Total number of seconds that the task may wait between such repetitions.
      - If the API asks by C(Retry-After) to wait longer than what is left, the task fails at once.
    type: float
    default: 120
requirements:
  - requests >= 2.28
notes:
  - Each option of the connection that a task and C(module_defaults) leave out is read from the
    variable of the host that has its name after C(planasonix_), such as C(planasonix_timeout). A
    variable wins over the environment.
  - With a local connection and without C(become), C(environment) and C(async), the task runs inside
    the Ansible worker and starts no other Python process. A task on one object then costs little
    more than M(ansible.builtin.debug). Otherwise it runs as an ordinary module on the target host,
    for example with C(delegate_to) on a bastion in an allowlisted network.
  - If the API answered a request with an error, the result has C(msg), and C(status), C(code),
    C(request_id), C(method) and C(path) of the request.
  - The modules use the proxy environment variables, and do not read a C(.netrc) file.
  - An environment variable of this collection that is empty counts as unset.
  - An answer of more than 32 MiB or 100,000 values, or a list of more than 200,000 objects or
    500,000 values, is an error.
  - Requires Python 3.10 or later on the host that runs the task.
"""
