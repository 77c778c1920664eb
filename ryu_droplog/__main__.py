"""`python -m ryu_droplog`: the `ryu-droplog` command."""

from __future__ import annotations

from ryu_droplog.cli import main

if __name__ == "__main__":
    main(prog_name="ryu-droplog")
