"""A copy of a project and the quern binary that works on it."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import tables

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ("warehouse", "lake", ".quern", "state", "target", "logs", "report.html", "__pycache__")


def copy_project(source, destination):
    """Copies a project without what runs leave behind."""
    shutil.copytree(source, destination, ignore=lambda _, names: [n for n in names if n in GENERATED], symlinks=True)
    return Path(destination)


class Answer:
    """What a call of quern gave."""

    def __init__(self, arguments, code, out, err, seconds):
        self.arguments, self.code, self.out, self.err, self.seconds = arguments, code, out, err, seconds

    @property
    def text(self):
        return self.out + self.err

    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return f"$ quern {' '.join(self.arguments)}\n{self.out}{self.err}[exit code {self.code}, {self.seconds:.1f} s]"


class Project:
    """A project's folder. Calls of `quern` print everything when they do not end as expected."""

    def __init__(self, folder, binary, environment=None, warehouse="warehouse"):
        self.folder = Path(folder)
        self.warehouse = self.folder / warehouse
        self.binary = str(binary)
        self.environment = environment or {}

    def _env(self, env):
        return {**os.environ, "NO_COLOR": "1", **self.environment, **(env or {})}

    def quern(self, *arguments, expect=0, env=None, timeout=300, in_project=True, cwd=None):
        """Runs quern on this project. `expect`: the exit code, or None for any."""
        arguments = [str(argument) for argument in arguments]
        if in_project:
            arguments += ["--project-dir", str(self.folder)]
        started = time.monotonic()
        done = subprocess.run([self.binary, *arguments], cwd=cwd or self.folder.parent, env=self._env(env), text=True,
                              capture_output=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL, errors="replace")
        answer = Answer(arguments, done.returncode, done.stdout, done.stderr, time.monotonic() - started)
        assert expect is None or answer.code == expect, f"expected exit code {expect}\n{answer}"
        return answer

    def start(self, *arguments, env=None):
        """Starts quern in a process group of its own and comes back at once."""
        return subprocess.Popen([self.binary, *map(str, arguments), "--project-dir", str(self.folder)], cwd=self.folder.parent,
                                env=self._env(env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)

    @staticmethod
    def kill(process):
        """SIGKILL to a process that was started here, and to its children."""
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()

    def table(self, name):
        schema, table = name.split(".")
        return self.warehouse / schema / table

    def tables(self):
        return tables.delta_tables(self.warehouse)

    def query(self, sql):
        """Rows of a query in which {schema.table} stands for one of our Delta tables."""
        connection = tables.connect()
        for name in self.tables():
            sql = sql.replace("{" + name + "}", tables.scan(self.table(name)))
        return connection.execute(sql).fetchall()

    def count(self, name):
        return self.query(f"select count(*) from {{{name}}}")[0][0]

    def copy_to(self, destination):
        """This project with its tables and history, under another folder."""
        shutil.copytree(self.folder, destination, symlinks=True)
        return Project(destination, self.binary, self.environment, self.warehouse.name)


def differences(left, right, names=None):
    """{table: what differs} between the tables of two projects; {} when all are equal."""
    left_tables, right_tables = left.tables(), right.tables()
    found = {}
    connection = tables.connect()
    for name in names or sorted({*left_tables, *right_tables}):
        if name not in left_tables or name not in right_tables:
            found[name] = f"only in {'the right' if name in right_tables else 'the left'} project"
            continue
        text = tables.difference(connection, tables.scan(left_tables[name]), tables.scan(right_tables[name]))
        if text:
            found[name] = text
    return found


def tracked(project):
    """What a project's tracking database holds that must be equal between equal projects; {} when there is none."""
    file = project.folder / ".quern" / "mlflow.db"
    if not file.exists():
        return {}
    connection = sqlite3.connect(file)
    ask = lambda sql: connection.execute(sql).fetchall()  # noqa: E731
    return {
        "runs": ask("select run_uuid, name, status from runs order by 1"),
        "params": ask("select run_uuid, key, value from params order by 1, 2"),
        "metrics": ask("select run_uuid, key, value from latest_metrics order by 1, 2"),
        "versions": ask("select name, version, run_id from model_versions order by 1, 2"),
        "aliases": ask("select name, alias, version from registered_model_aliases order by 1, 2"),
    }
