"""Connections to the server that libpq's environment names (PGHOST, ...), which is on this machine and runs as this user."""

import os

import numpy as np
import psycopg2

ALL_CORES = os.sched_getaffinity(0)
CORE = max(ALL_CORES)   # one for all that is measured on one core


class Connection:
    """One connection, its server process on CORE."""

    SETTINGS = {"jit": "off", "max_parallel_workers_per_gather": 0, "synchronize_seqscans": "off", "work_mem": "64MB",
                "client_min_messages": "warning"}

    def __init__(self, pinned=True, **settings):
        self.connection = psycopg2.connect("")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.pid = self.connection.info.backend_pid
        if pinned:
            os.sched_setaffinity(self.pid, {CORE})
        for name, value in {**self.SETTINGS, **settings}.items():
            self.run(f"SET {name} = '{value}'")

    def run(self, sql, *arguments):
        self.cursor.execute(sql, arguments or None)

    def ask(self, sql, *arguments):
        """The rows of the answer."""
        self.run(sql, *arguments)
        return self.cursor.fetchall()

    def value(self, sql, *arguments):
        return self.ask(sql, *arguments)[0][0]

    def scores(self, sql):
        """One array of scores per row."""
        return np.array([row[0] for row in self.ask(sql)], np.float32)

    def register(self, name, model):
        """A model with its file's bytes; there may be one of this name."""
        self.run("SELECT mtl_register(%s, %s::bytea::mtl_model)", name, psycopg2.Binary(model.to_bytes()))

    def close(self):
        self.connection.close()
