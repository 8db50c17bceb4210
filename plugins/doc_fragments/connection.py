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
      - Base URL of the Planasonix API. It may end in a path prefix, such as V(https://acme.planasonixapis.com/v1).
      - Plain V(http://) is refused except for the loopback interface, since it would send the API key unencrypted.
        No proxy is used for it.
      - If left out, the variable C(planasonix_api_url) of the host is used. Otherwise it is the
        environment variable E(PLANASONIX_API_URL), that of the task's C(environment) before that of
        the controller.
    type: str
    default: https://api.planasonix.com
  api_key:
    description:
      - API key of the organization. It needs an administrative scope, such as V(admin:organization), or must belong to a user who is an administrator.
      - If left out, the variable C(planasonix_api_key) of the host is used. Otherwise it is the
        environment variable E(PLANASONIX_API_KEY), that of the task's C(environment) before that of
        the controller.
      - The tasks of this collection never print it, also not with C(-vvv) where it comes from the C(environment) of a task. Other tasks under the same
        C(environment) do, and so does Ansible's own task that reads the result of one with C(async).
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
      - Seconds to wait for a connection, and between two pieces of an answer.
      - If left out, the environment variable E(PLANASONIX_TIMEOUT) is used.
    type: float
    default: 30
  deadline:
    description:
      - Seconds until one request must be complete, redirects included. A request that takes
        longer fails, and its seconds count as spent of O(retry_budget).
      - If left out, the environment variable E(PLANASONIX_DEADLINE) is used.
    type: float
    default: 120
  retries:
    description:
      - How often one request is repeated at the most, after the API answered C(408), C(429),
        C(502) to C(504) or C(520) to C(524), or gave no answer.
      - A request that creates something is never repeated blindly. The module looks first whether it took effect.
    type: int
    default: 5
  retry_budget:
    description:
      - Seconds that the task may spend waiting between such repetitions in all.
      - If the API asks by C(Retry-After) to wait longer than what is left, the task fails at once.
    type: float
    default: 120
requirements:
  - requests >= 2.28
notes:
  - Each option of the connection that a task and C(module_defaults) leave out is read from the
    variable of the host that has its name after C(planasonix_), such as C(planasonix_timeout). A
    variable wins over the environment.
  - Where the connection is local and neither C(become), C(environment) nor C(async) is used, the task runs inside the Ansible worker without starting
    another Python, which makes a task on one object nearly as cheap as M(ansible.builtin.debug). Anywhere else it runs as an ordinary module on the target
    host, for example on a bastion in an allowlisted network by C(delegate_to).
  - A failure has, beside C(msg), the C(status), C(code), C(request_id), C(method) and C(path) of the request where the API answered.
  - Proxy environment variables are honoured. A C(.netrc) file is never read.
  - An environment variable of this collection that is empty counts as unset.
  - An answer of more than 32 MiB or 100,000 values, or a list of more than 200,000 objects or
    500,000 values, is an error.
  - Needs Python 3.10 or later where it runs.
"""
