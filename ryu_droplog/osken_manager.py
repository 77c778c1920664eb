"""The `osken-manager` command, which os-ken 4 no longer ships.

With an os-ken that has a manager of its own (3.1.1 is the last), that one runs, whatever
applications are named, as if this project were not installed. Only where the arguments speak of
this project does it know one option more, `--droplog-config`.
"""

from __future__ import annotations

import sys
from importlib import import_module

from ryu_droplog.concurrency import hubs
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.text.standard_files import see_that_they_are_open

_THEIRS = "os_ken.cmd.manager"


def main() -> None:
    """Run OS-Ken applications until a signal ends them.

    Exit status 2: os-ken has no such hub, or the command line is wrong.
    """
    see_that_they_are_open()
    # Nothing of os-ken's is imported yet: its manager's first act is to change the standard
    # library, which depends on what was imported before.
    try:
        hubs.check()
    except ConfigError as error:
        print(f"osken-manager: {error}", file=sys.stderr)
        sys.exit(2)
    about_us = any("droplog" in argument for argument in sys.argv[1:])
    if about_us:
        hubs.hide_warning()
    try:
        theirs = import_module(_THEIRS)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{_THEIRS}.".startswith(f"{error.name}."):
            raise  # it is there, and misses something else
        from ryu_droplog.runtime import manager

        manager.run(sys.argv[1:])
        return
    if about_us:
        from os_ken import cfg

        from ryu_droplog.config.options import register

        register(cfg.CONF)
    theirs.main()


if __name__ == "__main__":
    sys.argv[0] = "osken-manager"  # as its messages shall call it
    main()
