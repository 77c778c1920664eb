"""The only action of a summary flow, a note with our mark: it does nothing, so the flow drops.

NXAST_NOTE (Open vSwitch, include/openflow/nicira-ext.h and lib/ofp-actions.c) is for whoever looks
at the flow; its datapath never hears of it. Together with its cookie the flow is known for ours.
"""

from __future__ import annotations

from struct import Struct

from ryu_droplog.model import cookie

_NICIRA = 0x00002320
_NXAST_NOTE = 8
_NOTE = Struct("!HHIH6s")
"""Type (OFPAT_EXPERIMENTER), length, experimenter, subtype, note: six bytes fill the action."""
_APPLY_ACTIONS = Struct("!HH4x")
_OFPIT_APPLY_ACTIONS = 4

NOTE_ACTION = _NOTE.pack(0xFFFF, _NOTE.size, _NICIRA, _NXAST_NOTE, cookie.NOTE)
"""The action, as on the wire."""
NOTE_INSTRUCTIONS = (
    _APPLY_ACTIONS.pack(_OFPIT_APPLY_ACTIONS, _APPLY_ACTIONS.size + _NOTE.size) + NOTE_ACTION
)
"""The instructions of a summary flow, as on the wire."""
