"""The configuration as it stands: droplog.yaml, and what the OpFlex agent's control files say."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from ryu_droplog.config import loader
from ryu_droplog.config.filter_spec import FilterSpec, parse_plain_filter
from ryu_droplog.config.opflex_directory import Control, ControlDirectory
from ryu_droplog.config.settings import Settings
from ryu_droplog.pipelines.loader import Pipeline, load_pipelines


class Configuration:
    """Settings and pipelines, read again when they have changed."""

    def __init__(self, path: str | None) -> None:
        """`path` of droplog.yaml, or None: the defaults. Raises ConfigError."""
        self._path = path
        self._seen = self._known = self._look()
        self._accepted = self._load(None)
        self._read = self._accepted

    @property
    def settings(self) -> Settings:
        """What holds."""
        return self._accepted.settings

    @property
    def switched_off(self) -> str:
        """By what the drop log is switched off, for people; empty: it is not."""
        reading = self._accepted
        if reading.settings.enable:
            return ""
        if not reading.own.enable or reading.control is None:
            return "drop_log_config.enable is false"
        state = reading.control.state
        if state.enable:
            return f"drop-log-mode is flow-based, and {reading.directory} has no *.dropflowcfg"
        if not state.source:
            return f"{reading.directory} has no *.droplogcfg"
        return f"{reading.directory}/{state.source}: drop-log-enable is false"

    @property
    def pipelines(self) -> Mapping[str, Pipeline]:
        """By name; those of `settings.pipeline_directory` among them."""
        return self._accepted.pipelines

    def poll(self) -> bool:
        """Whether droplog.yaml or a control file has changed; cheap when none has.

        A file counts when two looks found it the same: somebody may be in the middle of writing it.
        """
        before, self._seen = self._seen, self._look()
        changed = self._seen == before != self._known
        if changed:
            self._known = self._seen
        control = self._accepted.control
        return (control is not None and control.poll()) or changed

    def read(self) -> tuple[Settings, Mapping[str, Pipeline]]:
        """Read everything again; what is returned holds from `accept` on. Raises ConfigError."""
        self._seen = self._known = self._look()
        self._read = self._load(self._accepted)
        return self._read.settings, self._read.pipelines

    def accept(self) -> None:
        """What was read last holds."""
        self._accepted = self._read

    def notices(self) -> Iterator[str]:
        """What the user should know of the control files, each once."""
        control = self._accepted.control
        while control is not None and control.notices:
            yield control.notices.popleft()

    def _load(self, known: _Reading | None) -> _Reading:
        own = loader.load(self._path)
        pipelines = load_pipelines(own.pipeline_directory)
        loader.check_pipelines(own, pipelines)
        directory = own.opflex.droplog_directory
        control = None
        if directory is not None:
            control = known.control if known is not None and known.directory == directory else None
            if control is None:
                control = ControlDirectory(directory, parse_plain_filter)
                control.poll()
        settings = own if control is None else obey(own, control.state)
        return _Reading(own, settings, pipelines, directory, control)

    def _look(self) -> tuple[int, int, int] | None:
        if self._path is None:
            return None
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


class _Reading(NamedTuple):
    own: Settings
    """What droplog.yaml says."""
    settings: Settings
    pipelines: Mapping[str, Pipeline]
    directory: str | None
    control: ControlDirectory[FilterSpec] | None


def obey(own: Settings, control: Control[FilterSpec]) -> Settings:
    """What droplog.yaml wants, and the agent's control files allow.

    They switch on and off, and add to the filters; droplog.yaml's own `enable: false` and filters
    stay what they are. In the mode flow-based without a flow, nothing is captured.
    """
    flows = control.flows if control.flow_based else None
    return replace(
        own,
        enable=own.enable and control.enable and flows != (),
        prune=own.prune + control.filters,
        flows=flows,
        opflex=replace(own.opflex, print_tenant=own.opflex.print_tenant or control.print_tenant),
    )
