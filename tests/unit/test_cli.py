"""The `ryu-droplog` command where there is no switch: what it prints, and its exit status."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ryu_droplog import __version__
from ryu_droplog.plugins.parts import REGISTRIES

COMMAND = (
    sys.executable,
    "-W",
    "ignore",
    "-c",
    "from ryu_droplog.cli import main; main()",
)
PATIENCE = 20.0


def environment(rundir: Path) -> dict[str, str]:
    return {**os.environ, "RYU_DROPLOG_CONFIG": "", "OVS_RUNDIR": str(rundir)}


def droplog(rundir: Path, *arguments: str, **env: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        env={**environment(rundir), **env}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def nowhere(rundir: Path, bridge: str) -> str:
    """What is said of a bridge where there is no Open vSwitch."""
    return (
        f"cannot connect to unix:{rundir}/{bridge}.mgmt: No such file or directory; Open vSwitch"
        f" does not run there: no ovs-vswitchd answers in {rundir}"
    )


def log(said: Path) -> list[str]:
    """The program's log without its times."""
    return [line.split(maxsplit=2)[2] for line in said.read_text().splitlines()]


def write(folder: Path, text: str) -> str:
    path = folder / "droplog.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--help"], ["check-config", "clean", "plan", "run"]),
        (["-h"], ["check-config", "clean", "plan", "run"]),
        (["run", "--help"], ["--config FILE", "--verbose", "SIGTERM or SIGINT"]),
        (["plan", "--help"], ["--config FILE", "--bridge NAME", "changes nothing"]),
        (["clean", "--help"], ["--config FILE", "--bridge NAME"]),
        (["check-config", "--help"], ["FILE"]),
    ],
    ids=" ".join,
)
def test_help_names_what_there_is(
    tmp_path: Path, arguments: list[str], expected: list[str]
) -> None:
    status, output, errors = droplog(tmp_path, *arguments)
    assert (0, "") == (status, errors)
    assert [] == [word for word in expected if word not in output]


def test_types_lists_what_a_configuration_may_name(tmp_path: Path) -> None:
    status, output, errors = droplog(tmp_path, "check-config", "--types", "/no/such/file")
    assert (0, "") == (status, errors)
    listed = [line.split() for line in output.splitlines()]
    names = [words[0] for words in listed if len(words) > 1]
    for registry in REGISTRIES:
        assert set(registry.own_names()) <= set(names)
    assert not any(text in output for text in ("cannot be loaded", "says nothing"))


def test_version_is_the_packages(tmp_path: Path) -> None:
    assert (0, f"ryu-droplog, version {__version__}\n", "") == droplog(tmp_path, "--version")


def test_package_runs_as_the_command(tmp_path: Path) -> None:
    """In a container without scripts on its PATH."""
    done = subprocess.run(
        [sys.executable, "-m", "ryu_droplog", "check-config", "--help"],
        env=environment(tmp_path), capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("Usage: ryu-droplog check-config ")


def test_command_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    status, output, errors = droplog(tmp_path, "plam")
    assert (2, "") == (status, output)
    assert "No such command 'plam'" in errors


def test_good_configuration_is_described(tmp_path: Path) -> None:
    path = write(tmp_path, "bridges: [{name: br-ex, prefix: 'Ex-'}]\n")
    status, output, errors = droplog(tmp_path, "check-config", path)
    assert (0, "") == (status, errors)
    page = output.splitlines()
    assert f"configuration:    {path}" == page[0]
    assert "bridge br-ex" in page
    assert f"  reached at:     unix:{tmp_path}/br-ex.mgmt" in page


MISTAKES = {
    "unknown-key": ("bridge: []\n", ":1: bridge: unknown key, nearest is bridges; "),
    "unknown-pipeline": (
        "bridges: [{name: br-int, pipeline: opflex-in}]\n",
        ':1: bridges[0].pipeline: got "opflex-in", nearest is opflex-int; expected one of ',
    ),
    "no-yaml": ("{", ":1: "),
}


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.parametrize("command", ["check-config", "run", "plan", "clean"])
def test_mistake_in_the_configuration_is_one_line(tmp_path: Path, command: str, name: str) -> None:
    text, message = MISTAKES[name]
    path = write(tmp_path, text)
    arguments = [path] if command == "check-config" else ["--config", path]
    status, output, errors = droplog(tmp_path, command, *arguments)
    assert (2, "") == (status, output)
    assert errors.startswith(f"ryu-droplog: {path}{message}")
    assert 1 == len(errors.splitlines())


@pytest.mark.parametrize("command", ["check-config", "run", "plan", "clean"])
def test_configuration_that_is_not_there_is_one_line(tmp_path: Path, command: str) -> None:
    path = str(tmp_path / "none.yaml")
    arguments = [path] if command == "check-config" else ["--config", path]
    expected = f"ryu-droplog: {path}: cannot be read: No such file or directory\n"
    assert (2, "", expected) == droplog(tmp_path, command, *arguments)


@pytest.mark.parametrize("command", ["plan", "clean"])
def test_bridge_that_is_not_there_is_one_line(tmp_path: Path, command: str) -> None:
    expected = f"br-none: {nowhere(tmp_path, 'br-none')}\n"
    assert (3, "", expected) == droplog(tmp_path, command, "--bridge", "br-none")


@pytest.mark.parametrize("command", ["plan", "clean"])
def test_each_bridge_that_is_not_there_is_said(tmp_path: Path, command: str) -> None:
    path = write(tmp_path, "bridges: [{name: one}, {name: two, connect: 'tcp:127.0.0.1:9'}]\n")
    expected = (
        f"one: {nowhere(tmp_path, 'one')}\n"
        "two: cannot connect to tcp:127.0.0.1:9: Connection refused\n"
    )
    assert (3, "", expected) == droplog(tmp_path, command, "--config", path)


@pytest.mark.parametrize("command", ["plan", "clean"])
def test_bridge_that_would_connect_to_us_cannot_be_visited(tmp_path: Path, command: str) -> None:
    path = write(tmp_path, "listen: 6653\nbridges: [{name: br-in, connect: listen}]\n")
    expected = "br-in: it cannot be reached from here: it connects to the program\n"
    assert (3, "", expected) == droplog(tmp_path, command, "--config", path)


@pytest.mark.parametrize("command", ["plan", "clean"])
def test_bridge_name_that_is_none_is_refused(tmp_path: Path, command: str) -> None:
    status, output, errors = droplog(tmp_path, command, "--bridge", "a/b")
    assert (2, "") == (status, output)
    assert errors.startswith('ryu-droplog: --bridge: bridges[0].name: got "a/b"; expected ')
    assert 1 == len(errors.splitlines())


def test_configuration_named_by_the_environment_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path, "bridges: [{name: br-env}]\n")
    status, _, errors = droplog(tmp_path, "plan", RYU_DROPLOG_CONFIG=path)
    assert 3 == status
    assert errors.startswith("br-env: cannot connect to ")


@pytest.mark.parametrize("size", [512 * 1024 + 1, 50_000_000, None], ids=str)
def test_file_that_is_too_large_is_refused_at_once_in_little_memory(
    tmp_path: Path, size: int | None
) -> None:
    path = tmp_path / "droplog.yaml"
    if size is None:
        path.symlink_to("/dev/zero")
    else:
        path.write_bytes(b"- a\n" * (size // 4 + 1))
    code = "import resource; resource.setrlimit(resource.RLIMIT_AS, (400_000_000,) * 2);"
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"{code} {COMMAND[-1]}", "check-config", str(path)],
        env=environment(tmp_path), capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    expected = f"ryu-droplog: {path}: more than 524288 bytes; expected at most so many\n"
    assert (2, "", expected) == (done.returncode, done.stdout, done.stderr)
    assert 10 > time.monotonic() - begin


def test_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, "bridges: [{name: br-ex}]\n")
    with open(path, "a", encoding="ascii") as file:
        file.write("#" * (512 * 1024 - file.tell()))
    status, output, _ = droplog(tmp_path, "check-config", path)
    assert (0, True) == (status, "bridge br-ex" in output.splitlines())


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo 'bridges: [{name: br-pipe}]'", "bridge br-pipe"),
        ("sleep 1; echo 'bridges:'; sleep 1; echo '- name: br-slow'", "bridge br-slow"),
        ("true", "bridge br-int"),
    ],
    ids=["at once", "slowly", "nothing"],
)
def test_configuration_may_come_through_a_pipe(tmp_path: Path, script: str, expected: str) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen(["sh", "-c", f"({script}) >'{fifo}'"]):
        status, output, errors = droplog(tmp_path, "check-config", str(fifo))
    assert (0, "") == (status, errors)
    assert expected in output.splitlines()


def test_pipe_that_is_closed_already_is_read(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"bridges: [{name: br-pipe}]\n")
    os.close(writer)
    try:
        done = subprocess.run(
            [*COMMAND, "check-config", f"/dev/fd/{reader}"], pass_fds=(reader,),
            env=environment(tmp_path), capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
    finally:
        os.close(reader)
    assert (0, "") == (done.returncode, done.stderr)
    assert "bridge br-pipe" in done.stdout.splitlines()


def test_configuration_that_is_a_fifo_without_a_writer_is_refused(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    wrong = "a FIFO to which nobody wrote all within 10 seconds; expected a file"
    expected = (2, "", f"ryu-droplog: {fifo}: {wrong}\n")
    assert expected == droplog(tmp_path, "check-config", str(fifo))


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_lines_may_end_as_elsewhere(tmp_path: Path, end: str) -> None:
    path = tmp_path / "droplog.yaml"
    path.write_bytes(f"format: json{end}bridges:{end}- name: 7{end}".encode())
    status, _, errors = droplog(tmp_path, "check-config", str(path))
    assert (2, True) == (status, "bridges[0].name: got 7" in errors)


@pytest.mark.parametrize("command", ["plan", "clean", "doctor"])
def test_configuration_without_a_named_bridge_leaves_nobody_to_ask(
    tmp_path: Path, command: str
) -> None:
    path = write(tmp_path, "listen: 6653\nbridges: [{name: '*'}]\n")
    status, _, errors = droplog(tmp_path, command, "--config", path)
    assert (3, "ryu-droplog: no bridge is named: say which one, with --bridge\n") == (
        status,
        errors,
    )


def test_status_without_a_program_has_nobody_to_ask(tmp_path: Path) -> None:
    path = write(tmp_path, f"run_directory: {tmp_path}/run\n")
    expected = f"ryu-droplog: no running ryu_droplog has its socket in {tmp_path}/run\n"
    assert (3, "", expected) == droplog(tmp_path, "status", "--config", path)
    assert (3, "[]\n", expected) == droplog(tmp_path, "status", "--json", "--config", path)


def test_status_without_a_program_and_with_a_wrong_file_names_the_mistake(tmp_path: Path) -> None:
    path = write(tmp_path, f"run_directory: {tmp_path}/run\nmeter: {{rate: 0}}\n")
    status, output, errors = droplog(tmp_path, "status", "--config", path)
    assert (2, "") == (status, output)
    assert errors.startswith(f"ryu-droplog: {path}:2: meter.rate: got 0; ")


@pytest.mark.parametrize("command", ["status", "doctor", "plan", "clean"])
def test_help_says_the_exit_statuses_and_where_the_file_comes_from(
    tmp_path: Path, command: str
) -> None:
    status, output, errors = droplog(tmp_path, command, "--help")
    words = " ".join(output.split())
    assert (0, "") == (status, errors)
    assert "Exit status: 0 all is well, 1 something is not, 2 the configuration or the" in words
    assert "default: what RYU_DROPLOG_CONFIG names, else /etc/ryu-droplog/droplog.yaml" in words


@pytest.mark.parametrize(
    "arguments", [[], ["run"], ["replay"], ["events"], ["check-config"]], ids=" ".join
)
def test_every_help_names_the_environment_variable(tmp_path: Path, arguments: list[str]) -> None:
    status, output, _ = droplog(tmp_path, *arguments, "--help")
    assert (0, True) == (status, "RYU_DROPLOG_CONFIG" in output)


def test_option_comes_before_the_environment(tmp_path: Path) -> None:
    path = write(tmp_path, "bridges: [{name: br-opt}]\n")
    status, _, errors = droplog(
        tmp_path, "plan", "--config", path, RYU_DROPLOG_CONFIG=f"{tmp_path}/none.yaml"
    )
    assert 3 == status
    assert errors.startswith("br-opt: cannot connect to ")


def test_check_config_without_a_file_takes_that_of_the_environment(tmp_path: Path) -> None:
    path = write(tmp_path, f"run_directory: {tmp_path}/run\n")
    status, output, errors = droplog(tmp_path, "check-config", RYU_DROPLOG_CONFIG=path)
    assert (0, "") == (status, errors)
    assert f"configuration:    {path}" == output.splitlines()[0]


def test_check_config_finds_directories_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = write(
        tmp_path,
        "drop_log_config: {opflex_redirect_drop_logs: drop.log}\n"
        f"log_directory: {tmp_path}/file/logs\nrun_directory: {tmp_path}/file\n",
    )
    status, output, errors = droplog(tmp_path, "check-config", path)
    assert (1, f"configuration:    {path}") == (status, output.splitlines()[0])
    reason = f"{tmp_path}/file is not a directory"
    assert [
        f"ryu-droplog: {path}: log_directory: {tmp_path}/file/logs/drop.log cannot be written:"
        f" {reason}",
        f"ryu-droplog: {path}: run_directory: {tmp_path}/file cannot be written: {reason}",
    ] == errors.splitlines()


def test_check_config_says_that_a_prefix_tells_bridges_apart(tmp_path: Path) -> None:
    path = write(tmp_path, f"run_directory: {tmp_path}\nbridges: [{{name: br-a}}, {{name: br-b}}]")
    status, output, _ = droplog(tmp_path, "check-config", path)
    assert 0 == status
    note = 'note: the lines of "br-a", "br-b" do not say which bridge they are of: give each a'
    assert note in output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_without_its_bridge_says_so_once_and_ends_when_it_is_told(
    tmp_path: Path, number: signal.Signals
) -> None:
    path = write(tmp_path, f"bridges: [{{name: br-none}}]\nrun_directory: {tmp_path}\n")
    said = tmp_path / "said"
    with (
        said.open("wb") as errors,
        subprocess.Popen(
            [*COMMAND, "run", "--config", path], env=environment(tmp_path), stderr=errors
        ) as run,
    ):
        deadline = time.monotonic() + PATIENCE
        while "cannot connect" not in said.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        run.send_signal(number)
        assert 0 == run.wait(PATIENCE)
    assert [
        f"INFO configuration: {path}",
        f"WARNING br-none: {nowhere(tmp_path, 'br-none')}; trying again",
    ] == log(said)


def test_run_that_cannot_write_its_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    path = write(
        tmp_path,
        f"drop_log_config: {{opflex_redirect_drop_logs: drop.log}}\n"
        f"log_directory: {tmp_path}/logs\nrun_directory: {tmp_path}\n",
    )
    status, output, errors = droplog(tmp_path, "run", "--config", path)
    assert (1, "") == (status, output)
    expected = f"ryu_droplog: {tmp_path}/logs/drop.log: cannot be written: File exists"
    assert expected == errors.splitlines()[-1]


def test_fifo_that_nobody_reads_holds_up_neither_start_nor_reload_nor_end(tmp_path: Path) -> None:
    def configuration(file: str) -> str:
        return (
            f"drop_log_config: {{opflex_redirect_drop_logs: {file}}}\n"
            f"bridges: [{{name: br-none}}]\nlog_directory: {tmp_path}/logs\n"
            f"run_directory: {tmp_path}\n"
        )

    (tmp_path / "logs").mkdir()
    os.mkfifo(tmp_path / "logs" / "fifo")
    path = write(tmp_path, configuration("fifo"))
    wrong = f"{tmp_path}/logs/fifo: cannot be written: it is a FIFO that nobody reads"
    status, output, errors = droplog(tmp_path, "run", "--config", path)
    assert (1, "", f"ryu_droplog: {wrong}") == (status, output, errors.splitlines()[-1])

    write(tmp_path, configuration("drop.log"))
    said = tmp_path / "said"

    def waits_for(text: str) -> bool:
        deadline = time.monotonic() + PATIENCE
        while text not in said.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        return text in said.read_text()

    with (
        said.open("wb") as errors,
        subprocess.Popen(
            [*COMMAND, "run", "--config", path], env=environment(tmp_path), stderr=errors
        ) as run,
    ):
        assert waits_for("cannot connect")
        write(tmp_path, configuration("fifo"))
        assert waits_for(f"{wrong}: the configuration stays as it was")
        run.terminate()
        assert 0 == run.wait(PATIENCE)


def test_run_that_is_disabled_says_so_and_ends_when_it_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, "drop_log_config: {enable: false}\n")
    said = tmp_path / "said"
    with (
        said.open("wb") as errors,
        subprocess.Popen(
            [*COMMAND, "run", "--config", path], env=environment(tmp_path), stderr=errors
        ) as run,
    ):
        deadline = time.monotonic() + PATIENCE
        while "nothing is added" not in said.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        run.terminate()
        assert 0 == run.wait(PATIENCE)
    expected = "INFO drop_log_config.enable is false: nothing is added to any switch"
    assert [f"INFO configuration: {path}", expected] == log(said)


@pytest.mark.parametrize("said", [b"[]", b'{"pid": 1}', b'{"pid": 1, "bridges": []}'])
def test_answer_that_status_does_not_understand_is_one_line(tmp_path: Path, said: bytes) -> None:
    """Of a program of another version, or of somebody else."""
    path = write(tmp_path, f"run_directory: {tmp_path}\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "1.sock"))
        listener.listen()

        def answer() -> None:
            visitor, _ = listener.accept()
            with visitor:
                visitor.sendall(said)

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        status, output, errors = droplog(tmp_path, "status", "--config", path)
        answering.join(PATIENCE)
    assert status in (1, 3)
    assert ("", 1) == (output, len(errors.splitlines()))
    assert errors.startswith("ryu-droplog: ")
