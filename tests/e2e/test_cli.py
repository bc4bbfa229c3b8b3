"""The program's own words: each file of tests/cases/cli is a session, replayed and compared.

A file holds files to write (`--- path`, their text, ended by the next `---`), then commands and what they must answer:

    $ quern version
    quern 0.1.0
    [0]

A command is run by sh in the project's folder, standard error joined to standard output; `[n]` is its exit code. `copy: shop` in the
first line copies that project (examples/ or tests/projects/) first. Lines that begin with `#` before the first command are remarks.
<time>, <duration>, <path>, <id> stand for what differs between calls. QUERN_UPDATE_GOLDEN=1 rewrites the answers.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest
from quern_project import ROOT, copy_project

CASES = ROOT / "tests" / "cases" / "cli"
NOW = "2026-02-01T12:00:00Z"


class Case:
    def __init__(self, path):
        self.path = path
        self.head, self.files, self.copy, self.steps = [], {}, None, []
        file = None
        for line in path.read_text("utf-8").splitlines():
            if not self.steps and not line.startswith("$ "):
                self.head.append(line)
                if line.startswith("--- "):
                    file = line[4:].strip()
                    self.files[file] = ""
                elif line == "---":
                    file = None
                elif file is not None:
                    self.files[file] += line + "\n"
                elif line.startswith("copy: "):
                    self.copy = line[6:].strip()
                continue
            if line.startswith("$ "):
                self.steps.append((line[2:], []))
            else:
                self.steps[-1][1].append(line)

    def write(self, answers):
        text = "\n".join(self.head)
        text += "\n" if self.head else ""
        for command, lines in answers:
            text += f"$ {command}\n" + "".join(line + "\n" for line in lines)
        self.path.write_text(text, "utf-8")


def normal(text, folder):
    text = text.replace(str(folder.resolve()), "<path>").replace(str(folder), "<path>")
    text = re.sub(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<id>", text)
    text = re.sub(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>", text)
    text = re.sub(r"\b\d+ min \d+ s\b|\b\d+(\.\d+)? m?s\b", "<duration>", text)
    text = re.sub(r'("seconds": )[0-9.e-]+', r"\1<duration>", text)
    return re.sub(r" *<duration>", " <duration>", text)


@pytest.mark.parametrize("path", sorted(CASES.glob("*.txt")), ids=lambda path: path.stem)
def test_session(path, binary, tmp_path):
    case = Case(path)
    folder = tmp_path / "project"
    if case.copy:
        source = ROOT / "examples" / case.copy
        copy_project(source if source.is_dir() else ROOT / "tests" / "projects" / case.copy, folder)
    folder.mkdir(exist_ok=True)
    for name, text in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    env = {"PATH": f"{binary.parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "QUERN_NOW": NOW, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
    answers = []
    for command, _ in case.steps:
        done = subprocess.run(["sh", "-c", command], cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120, check=False)
        lines = normal(done.stdout.decode("utf-8", "replace"), folder).splitlines()
        answers.append((command, [line.rstrip() for line in lines] + [f"[{done.returncode}]"]))
    if os.environ.get("QUERN_UPDATE_GOLDEN") == "1":
        case.write(answers)
        return
    assert answers == case.steps
