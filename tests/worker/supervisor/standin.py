"""A tiny process for the supervisor's tests: `standin.py web PORT`, or `standin.py beat` with a work-horse in its own session."""

import http.server
import os
import sys
import time

import psycopg


class Fine(http.server.BaseHTTPRequestHandler):
    """Answers 200 to everything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def beat() -> None:
    """Beat once a second; leave a child behind that no process group reaches, as RQ's work-horses are."""
    if os.fork() == 0:
        os.setsid()
        while True:
            time.sleep(60)
    while True:
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(
                "INSERT INTO heartbeats (process, pid, host) VALUES (%s, %s, 'test') ON CONFLICT (process) DO UPDATE "
                "SET at = clock_timestamp(), pid = excluded.pid",
                (os.environ["OPS_PROCESS"], os.getpid()),
            )
        time.sleep(1)


if __name__ == "__main__":
    if sys.argv[1] == "beat":
        beat()
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[2])), Fine).serve_forever()
