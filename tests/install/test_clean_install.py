"""What README.md and docs/install.md say about installing, typed on a clean Debian.

Each machine is a copy of the unpacked system that DEBIAN_ROOT names (tools/clean-install), entered
by chroot in namespaces of its own. It gets what this machine needs to reach the network and no
more: name servers, certificates, and the settings of apt and pip.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import copy
from readme import INSTALL_PAGE, blocks

USER = "reader"
CLONE = f"/home/{USER}/ryu_droplog"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
PATIENCE = 600.0
OSKEN_3 = "os-ken==3.1.1"
# One process runs it all, and when it ends, what was mounted is gone.
ENTER = """
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
root=$1
shift
exec chroot "$root" "$@"
"""


class Machine:
    """A Debian on which one user, who may call sudo, has a clone of this repository."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._env = {
            key: value
            for key, value in os.environ.items()
            if key.startswith("PIP_") or key.lower().endswith("_proxy") or "CERT" in key
        }
        # There is no systemd that runs: what would be said to it is left out, and nothing else.
        self._env["SYSTEMD_OFFLINE"] = "1"

    def set_up(self) -> None:
        for name in ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", CERTIFICATES):
            if Path(name).exists():
                self.path(name).unlink(missing_ok=True)
                shutil.copy(name, self.path(name))
        self.path("/etc/apt/apt.conf.d/90machine").write_text(apt_settings())
        keep = " ".join(sorted(self._env))
        rules = f'{USER} ALL=(ALL) NOPASSWD: ALL\nDefaults env_keep += "{keep}"\n'
        self.path("/etc/sudoers.d/reader").write_text(rules)
        self.run("root", f"useradd --create-home --shell /bin/bash {USER}")
        copy(self.path(CLONE))
        self.run("root", f"chown -R {USER}: {CLONE}")

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def type(self, commands: str) -> str:
        """Type commands in the clone; each must succeed. What they said."""
        return self.run(USER, commands)

    def run(self, user: str, commands: str) -> str:
        namespaces = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
        home = f"HOME=/home/{user}" if user == USER else "HOME=/root"
        done = subprocess.run(
            [
                *(*namespaces, "sh", "-euc", ENTER, "sh", str(self.root)),
                *("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"),
                *("env", home, f"USER={user}", "DEBIAN_FRONTEND=noninteractive"),
                *("bash", "-euo", "pipefail", "-c", f"cd {CLONE} 2>/dev/null || cd /\n{commands}"),
            ],
            env={**self._env, "PATH": PATH},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert 0 == done.returncode, f"{commands}\n{done.stdout}"
        return done.stdout


def apt_settings() -> str:
    """How this machine reaches packages; apt.conf(5)."""
    wanted = ("Acquire::http", "Acquire::https", "Acquire::Check", "Acquire::Retries")
    shown = subprocess.run(
        ["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=False
    ).stdout
    return "".join(f"{line}\n" for line in shown.splitlines() if line.startswith(wanted))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A clean machine for all tests here, which follow one another as a reader does."""
    unpacked = os.environ.get("DEBIAN_ROOT")
    if not unpacked:
        pytest.fail("DEBIAN_ROOT names no system: run sudo tools/clean-install", pytrace=False)
    root = tmp_path_factory.mktemp("debian") / "root"
    subprocess.run(["cp", "-a", "--reflink=auto", unpacked, root], check=True)
    made = Machine(root)
    made.set_up()
    yield made
    shutil.rmtree(root)


def test_commands_of_the_readme_install_it(machine: Machine) -> None:
    install = blocks("Install")[0]
    machine.type(install)
    assert "ryu-droplog, version " in machine.type("ryu-droplog --version")
    documents = "/opt/ryu-droplog/share/doc/ryu-droplog"
    assert "configuration:" in machine.type(
        f"sudo ryu-droplog check-config {documents}/docs/droplog.yaml"
    )
    assert "os-ken" in machine.type("/opt/ryu-droplog/bin/osken-manager --version")
    machine.type(install)  # twice does no harm


def test_installing_into_the_systems_own_python_is_refused(machine: Machine) -> None:
    """Why the README does not say `pip install .`."""
    machine.type("sudo apt-get install -y --no-install-recommends python3-pip")
    said = machine.type("! sudo pip install . 2>&1")
    assert "externally-managed-environment" in said


def test_commands_of_the_readme_make_it_a_service(machine: Machine) -> None:
    """Up to the start itself, for which a chroot has no systemd."""
    service = blocks("As a service")[0]
    machine.type(service)
    verify = "systemd-analyze verify --man=no /etc/systemd/system/ryu-droplog.service 2>&1"
    assert "ryu-droplog" not in machine.type(verify)
    wanted = machine.path("/etc/systemd/system/multi-user.target.wants/ryu-droplog.service")
    assert wanted.is_symlink()
    assert "ryu-droplog" in machine.path("/etc/passwd").read_text()
    assert "drop.log" in machine.type("sudo ryu-droplog check-config /etc/ryu-droplog/droplog.yaml")
    machine.type("sudo logrotate --debug /etc/logrotate.d/ryu-droplog")

    config = machine.path("/etc/ryu-droplog/droplog.yaml")
    config.write_text("bridges: [{name: br-ex}]\n")
    machine.type(service)
    assert "bridges: [{name: br-ex}]\n" == config.read_text()


def test_commands_of_the_documents_upgrade_and_remove_it(machine: Machine) -> None:
    (upgrade,), (remove,) = (blocks(heading, INSTALL_PAGE) for heading in ("Upgrade", "Remove"))
    machine.type(upgrade)
    assert "ryu-droplog, version " in machine.type("ryu-droplog --version")
    machine.type(remove)
    left = machine.type(
        "sudo find / -xdev -path /home -prune -o -path /proc -prune -o -path /root -prune"
        " -o -name '*droplog*' -print"
    ).splitlines()
    assert {"/etc/ryu-droplog", "/etc/ryu-droplog/droplog.yaml", "/var/log/ryu-droplog"} >= {
        name for name in left if not name.startswith(("/run", "/tmp", "/etc/sudoers.d"))
    }


def test_pipx_installs_it_too(machine: Machine) -> None:
    (command,) = (
        part
        for part in (machine.path(CLONE) / "README.md").read_text().split("`")
        if part.startswith("sudo PIPX_HOME=")
    )
    machine.type("sudo apt-get install -y --no-install-recommends pipx")
    machine.type(command)
    assert "ryu-droplog, version " in machine.type("ryu-droplog --version")


def test_osken_manager_comes_and_goes_as_the_documents_say(machine: Machine) -> None:
    machine.type(f"sudo chown -R {USER}: .")  # what root built there
    machine.type(f"python3 -m venv /tmp/v && /tmp/v/bin/pip install -q {OSKEN_3}")
    theirs = machine.type("/tmp/v/bin/osken-manager --help 2>&1")
    machine.type("/tmp/v/bin/pip install -q .")
    assert theirs == machine.type("/tmp/v/bin/osken-manager --help 2>&1")
    machine.type("/tmp/v/bin/pip uninstall -q -y ryu-droplog && ! test -e /tmp/v/bin/osken-manager")
    commands = {
        row.split("|")[3].split("`")[1]
        for row in INSTALL_PAGE.read_text(encoding="utf-8").splitlines()
        if row.startswith("|") and "--force-reinstall" in row
    }
    back, ours_again = sorted(commands, key=lambda command: command.endswith(" ."))
    machine.type(f"/tmp/v/bin/{back}")
    assert theirs == machine.type("/tmp/v/bin/osken-manager --help 2>&1")
    machine.type("/tmp/v/bin/pip install -q . && /tmp/v/bin/pip install -q 'os-ken>=4'")
    machine.type("! test -e /tmp/v/bin/osken-manager")
    by_module = machine.type("/tmp/v/bin/python -m ryu_droplog.osken_manager --version")
    machine.type(f"/tmp/v/bin/{ours_again}")
    assert by_module == machine.type("/tmp/v/bin/osken-manager --version")
