#!/usr/bin/python
"""`capstead host prepare` as a module: with check mode, a diff, and `changed`."""

import json

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: capstead_host_prepare
short_description: Make this machine into a microVM host
description:
  - Runs C(capstead host prepare), which changes what is not as wished, and nothing else.
author: Capstead
options:
  program:
    description: The capstead command on the host.
    type: path
    required: true
  wish:
    description: What the host is to be, in the keys of C(capstead host prepare --config).
    type: dict
    required: true
  shown_as:
    description: What the diff calls the program, where it stands elsewhere for a trial.
    type: path
"""

EXAMPLES = r"""
- name: Prepare the host
  capstead_host_prepare:
    program: /usr/local/bin/capstead
    wish:
      network: bridge
      subnet: 10.42.0.0/24
"""

RETURN = r"""
changes:
  description: Each change, in words that follow "to".
  type: list
  elements: str
  returned: success
"""


def main():
    """Runs the command, and tells what it told."""
    module = AnsibleModule(
        argument_spec={
            "program": {"type": "path", "required": True},
            "wish": {"type": "dict", "required": True},
            "shown_as": {"type": "path"},
        },
        supports_check_mode=True,
    )
    program = module.params["program"]
    # JSON is YAML. By standard input, no file of ours is left on the host.
    command = [program, "host", "prepare", "-o", "json", "--config", "/dev/stdin"]
    if module.check_mode:
        command.append("--dry-run")
    code, out, err = module.run_command(command, data=json.dumps(module.params["wish"]))
    if code != 0:
        module.fail_json(msg=err.strip(), rc=code)
    done = json.loads(out)
    diff = done["diff"].replace(program, module.params["shown_as"] or program)
    module.exit_json(changed=bool(done["changes"]), changes=done["changes"], diff={"prepared": diff})


if __name__ == "__main__":
    main()
