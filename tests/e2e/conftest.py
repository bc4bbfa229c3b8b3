import fcntl
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from quern_project import ROOT, Project, copy_project  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long; run by ./dev test --all, and by CI")


def pytest_collection_modifyitems(config, items):
    """Slow tests run when QUERN_SLOW is 1, or when they are all that was asked for."""
    if os.environ.get("QUERN_SLOW") == "1" or all(item.get_closest_marker("slow") for item in items):
        return
    config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("slow")])
    items[:] = [item for item in items if not item.get_closest_marker("slow")]


FLIGHTS_YEAR = ("backfill", "monthly", "--from", "2013-01-01", "--to", "2013-12-31")


@pytest.fixture(scope="session")
def binary():
    path = Path(os.environ.get("QUERN_BINARY", ROOT / "build" / "dev" / "quern")).resolve()
    if not path.exists():
        pytest.exit(f"{path} is not there: build it (./dev build dev quern) or set QUERN_BINARY", returncode=2)
    return path


@pytest.fixture
def project(binary, tmp_path):
    """A maker of projects: project("flights") copies examples/flights, project("meters") tests/projects/meters;
    project(files={...}) writes one from texts."""

    def make(name=None, files=None, folder="project"):
        destination = tmp_path / folder
        if name:
            source = ROOT / "examples" / name
            copy_project(source if source.is_dir() else ROOT / "tests" / "projects" / name, destination)
        for path, text in (files or {}).items():
            file = destination / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(text, bytes):
                file.write_bytes(text)
            else:
                file.write_text(text, "utf-8")
        return Project(destination, binary)

    return make


@pytest.fixture(scope="session")
def flights_year(binary, tmp_path_factory):
    """examples/flights after the year's backfill. For reading only: copy_to() for more. Sessions with the same QUERN_SHARED
    (a folder) play it once."""
    shared = os.environ.get("QUERN_SHARED")
    parent = Path(shared) if shared else tmp_path_factory.mktemp("year")
    project = Project(parent / "flights", binary)
    with open(parent / "flights.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = parent / "flights.done"
        if not done.exists():
            copy_project(ROOT / "examples" / "flights", project.folder)
            project.quern(*FLIGHTS_YEAR, timeout=600)
            done.touch()
    return project
