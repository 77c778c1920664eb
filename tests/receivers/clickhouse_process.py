"""Answers SQL on a Unix socket with chdb's engine: one question a connection, one at a time.

Arguments: the socket, the folder of the database. Run by the Python of .venv-receivers. An answer
is "ok" or "error" in a line, then rows as JSON, or what ClickHouse said.
"""

from __future__ import annotations

import os
import socket
import sys

from chdb.session import Session


def main(path: str, database: str) -> None:
    """Answer until killed."""
    session = Session(database)
    session.query("SET output_format_json_quote_64bit_integers = 0")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path + ".new")
        server.listen(16)
        os.rename(path + ".new", path)
        while True:
            client, _ = server.accept()
            with client, client.makefile("rb") as question:
                sql = question.read().decode()
                try:
                    answer = "ok\n" + str(session.query(sql, "JSONEachRow"))
                except Exception as error:  # whatever chdb raises is an answer
                    answer = f"error\n{error}"
                try:
                    client.sendall(answer.encode())
                except OSError:
                    continue


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
