"""Stopping, failing, going on: what a user sees of a run that does not go through at once."""

import signal
import time

import pytest

QUERN_YML = """\
name: control
targets: {dev: {threads: 2, memory_limit: 300MB}}
schedules:
  daily: {cron: "0 0 * * *", start: 2026-01-01}
"""

SCRIPTS = """\
scripts:
  - name: first
    command: 'echo {\\"n\\": 1} > "$QUERN_OUT/raw.one/a.jsonl"'
    writes: [{table: raw.one, mode: append, format: jsonl}]
  - name: second
    command: [sh, scripts/second.sh]
    reads: [raw.one]
    writes: [{table: raw.two, mode: append, format: jsonl}]
  - name: third
    command: 'echo {\\"n\\": 3} > "$QUERN_OUT/raw.three/a.jsonl"'
    reads: [raw.two]
    writes: [{table: raw.three, mode: append, format: jsonl}]
  - name: aside
    command: 'echo {\\"n\\": 4} > "$QUERN_OUT/raw.aside/a.jsonl"'
    writes: [{table: raw.aside, mode: append, format: jsonl}]
"""
GOOD = """echo '{"n": 2}' > "$QUERN_OUT/raw.two/a.jsonl"\n"""
RUN = ("run", "daily", "--date", "2026-01-01")


@pytest.fixture
def control(project):
    return lambda second: project(files={"quern.yml": QUERN_YML, "scripts/all.yml": SCRIPTS, "scripts/second.sh": second})


def rows(project):
    return {name.removeprefix("raw."): project.count(name) for name in project.tables()}


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_a_failing_node_skips_its_descendants_only_and_retry_goes_on_from_there(control):
    project = control("echo no luck >&2\nexit 7\n")
    answer = project.quern(*RUN, expect=1)
    assert rows(project) == {"one": 1, "aside": 1}
    assert "script.second" in answer.text and "skip" in answer.text and "third" in answer.text
    log = project.quern("logs", "daily/2026-01-01", "script.second")
    assert "no luck" in log.text
    (project.folder / "scripts/second.sh").write_text(GOOD)
    project.quern("retry", "daily/2026-01-01")
    assert rows(project) == {"one": 1, "two": 1, "three": 1, "aside": 1}
    runs = project.quern("runs")
    assert "daily/2026-01-01" in runs.text and "success" in runs.text


def test_ctrl_c_stops_cleanly_and_the_next_call_goes_on(control):
    project = control("sleep 600\n")
    process = project.start(*RUN)
    wait_for(lambda: "raw.one" in project.tables())
    time.sleep(0.3)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    out = process.communicate(timeout=30)[0].decode()
    assert process.returncode == 3, out
    assert time.monotonic() - started < 15
    assert rows(project) == {"one": 1, "aside": 1}
    (project.folder / "scripts/second.sh").write_text(GOOD)
    project.quern(*RUN)
    assert rows(project) == {"one": 1, "two": 1, "three": 1, "aside": 1}


def test_two_processes_are_never_at_the_same_interval(control):
    project = control("sleep 600\n")
    process = project.start(*RUN)
    try:
        wait_for(lambda: "raw.one" in project.tables())
        answer = project.quern(*RUN, expect=4)
        assert "daily/2026-01-01" in answer.text
    finally:
        project.kill(process)
    # The dead one's claim does not stay.
    (project.folder / "scripts/second.sh").write_text(GOOD)
    project.quern(*RUN)
    assert rows(project) == {"one": 1, "two": 1, "three": 1, "aside": 1}


def test_a_finished_interval_is_not_run_again_but_by_rerun(control):
    project = control(GOOD)
    project.quern(*RUN)
    project.quern(*RUN)
    assert rows(project) == {"one": 1, "two": 1, "three": 1, "aside": 1}
    project.quern(*RUN, "--rerun")
    assert rows(project) == {"one": 1, "two": 1, "three": 1, "aside": 1}
