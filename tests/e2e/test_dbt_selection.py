"""What `quern dbt ls` lists for a selection is what dbt-core lists, line by line; what dbt-core refuses is refused."""

import json
import os
import shlex
import shutil
import subprocess
import sys

import pytest
from quern_project import ROOT

PROJECT = ROOT / "tests" / "cases" / "dbt" / "parity" / "project"

# One selection a line, as a shell has it; each must list the same nodes.
SELECTIONS = r"""

-s customers
-s stg_orders stg_customers
-s "stg_orders stg_customers"
-s board
-s no_such_node
-s parity
-s parity.staging
-s parity.staging.*
-s parity.marts.customers
-s helpers
-s helpers.inner
-s helpers.inner.days
-s inner.days
-s inner
-s days
-s staging
-s marts
-s marts.deep
-s marts.*
-s "*"
-s "*.deep.*"
-s "inc_*"
-s "inc_?erge"
-s "inc_[md]*"
-s "*customers*"
-s fqn:customers
-s fqn:parity.marts.deep
-s "fqn:*"
-s models/marts
-s ./models/marts
-s models
-s models/marts/*
-s models/marts/*.sql
-s models/**/*.sql
-s "models/**"
-s models/staging/stg_orders.sql
-s models/marts/marts.yml
-s path:models/marts/marts.yml
-s path:models/staging
-s path:models/nothing
-s path:seeds
-s path:tests
-s path:snapshots/snapshots.yml
-s seeds/raw_orders.csv
-s stg_orders.sql
-s file:stg_orders.sql
-s file:stg_orders
-s file:marts.yml
-s "file:raw_*"
-s tag:all
-s tag:stg
-s tag:src
-s tag:from_yaml
-s tag:from_package
-s "tag:from_*"
-s tag:nothing
-s tag:keyed
-s config.materialized:incremental
-s "config.materialized:inc*"
-s config.materialized:view config.materialized:table
-s config.materialized:table,tag:deep
-s config.schema:staging
-s config.meta.owner:us
-s config.meta.owner:them
-s config.meta.level:2
-s config.meta:owner
-s config.tags:deep
-s config.enabled:true
-s config.enabled:false
-s config.severity:WARN
-s config.severity:warn
-s config.store_failures:true
-s config.alias:None
-s config.contract.enforced:true
-s config.unique_key:id
-s source:raw
-s source:raw+
-s +source:raw
-s source:raw+1
-s "source:*"
-s "source:r*"
-s source:raw.customers
-s source:raw.customers+
-s source:parity.raw.customers
-s source:parity.*.*
-s source:raw.nothing+
-s exposure:board
-s +exposure:board
-s exposure:parity.board
-s "+exposure:*"
-s 1+exposure:board
-s resource_type:model
-s resource_type:source
-s resource_type:seed
-s resource_type:snapshot
-s resource_type:test
-s resource_type:exposure
-s resource_type:analysis
-s resource_type:unit_test
-s test_type:generic
-s test_type:schema
-s test_type:singular
-s test_type:data
-s test_type:unit
-s test_name:unique
-s "test_name:*_values"
-s test_name:shorter_than
-s package:parity
-s package:this
-s package:helpers
-s "package:h*"
-s access:protected
-s access:public
-s group:nothing
-s "version:latest"
-s "metric:*"
-s "unit_test:*"
-s "semantic_model:*"
-s "saved_query:*"
-s +customers
-s customers+
-s +customers+
-s 1+customers
-s 2+customers
-s 0+customers
-s stg_orders+1
-s stg_orders+2
-s 1+stg_orders+1
-s 2+stg_orders+0
-s @stg_orders
-s @stg_customers
-s "@source:raw"
-s @tag:stg
-s "@tag:stg,tag:all"
-s 1+tag:deep
-s tag:stg+
-s raw_orders+
-s +no_negative
-s 1+2
-s stg_orders+,+aggregates
-s stg_orders+,customers
-s tag:all,config.materialized:view
-s tag:all,config.materialized:view,stg_customers
-s +customers,resource_type:seed
-s "stg_orders+ raw_orders,resource_type:seed"
-s customers,resource_type:test
-s resource_type:test,customers
-s customers -s stg_orders
--select customers --select stg_orders --exclude customers
-s stg_orders+ --exclude customers
-s stg_orders+ --exclude tag:deep +customers
-s stg_orders+ --exclude stg_orders+,tag:all
-s +customers --exclude resource_type:test
-s "*" --exclude "inc_*" "source:*"
--exclude resource_type:test
--exclude "inc_*"
--exclude parity
--exclude tag:all resource_type:test source:raw
--exclude test_name:unique
--exclude nothing_at_all
-m customers
-m +customers
--models "config.materialized:table"
--resource-type model
--resource-type test --resource-type seed
--resource-type all
--resource-type default
--resource-type source -s +customers
--resource-type exposure
--exclude-resource-type test
--exclude-resource-type test --exclude-resource-type model
--resource-type model -s package:helpers
-s customers --indirect-selection eager
-s customers --indirect-selection cautious
-s customers --indirect-selection buildable
-s customers --indirect-selection empty
-s customers source:raw --indirect-selection cautious
-s customers+ --indirect-selection buildable
-s +customers --indirect-selection cautious
-s +customers --indirect-selection buildable --exclude raw_customers
-s stg_orders,tag:stg --indirect-selection cautious
-s "source:raw" --indirect-selection cautious
-s "source:raw" --indirect-selection buildable
-s "test_name:relationships" --indirect-selection empty
-s raw_orders raw_customers --indirect-selection cautious --exclude test_name:unique
--output name
--output name -s +customers
--output path
--output path -s "source:*" customers
--output selector -s package:helpers
""".split("\n")[1:-1]

REFUSED = ["-s state:new", "-s selector:nothing", "-s bogus:x", "-s @customers+", "-s resource_type:bogus", "-s test_type:bogus", "--output bogus", "--resource-type bogus",
           "--indirect-selection bogus", "--no-such-option", "-m customers -s stg_orders", "-m customers --resource-type model"]

CORE = """
import contextlib, io, json, sys
from dbt.cli.main import dbtRunner
project, work, out = sys.argv[1:4]
where = ["--project-dir", project, "--profiles-dir", project, "--target-path", work, "--log-path", work]
with contextlib.redirect_stdout(io.StringIO()):
    manifest = dbtRunner().invoke(["--quiet", "parse", *where]).result
answers = []
for arguments in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        done = dbtRunner(manifest=manifest).invoke(["--quiet", "ls", *where, *arguments])
    answers.append(sorted(done.result or []) if done.success else None)
json.dump(answers, open(out, "w"))
"""


def core(project, work, selections):
    work.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([sys.executable, "-c", CORE, project, work, work / "answers.json"], input=json.dumps([shlex.split(line) for line in selections]), text=True,
                          capture_output=True, check=False, timeout=600, env={**os.environ, "PARITY_DUCKDB": str(work / "p.duckdb"), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads((work / "answers.json").read_text("utf-8"))


def ours(binary, project, arguments):
    return subprocess.run([binary, "dbt", "ls", "--profiles-dir", ".", *arguments], cwd=project, capture_output=True, text=True, check=False, timeout=60,
                          env={**os.environ, "PARITY_DUCKDB": str(project.parent / "p.duckdb")})


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("selection") / "project"
    shutil.copytree(PROJECT, folder)
    return folder


@pytest.mark.slow
def test_selections_list_what_dbt_core_lists(binary, project, tmp_path):
    expected = core(project, tmp_path / "core", SELECTIONS)
    assert sum(1 for lines in expected if lines) > 120  # most of them select something
    wrong = []
    for line, lines in zip(SELECTIONS, expected):
        if lines is None:
            wrong.append(f"{line}: dbt-core refuses it")
            continue
        done = ours(binary, project, shlex.split(line))
        found = sorted(done.stdout.splitlines())
        if done.returncode or found != lines:
            wrong.append(f"{line}\n  only dbt-core: {sorted(set(lines) - set(found))[:6]}\n  only quern: {sorted(set(found) - set(lines))[:6]}\n  {done.stderr[:300]}")
    assert not wrong, "\n".join(wrong)


def test_what_dbt_core_refuses_is_refused_with_exit_code_2(binary, project, tmp_path):
    for line, lines in zip(REFUSED, core(project, tmp_path / "core", REFUSED)):
        done = ours(binary, project, shlex.split(line))
        # dbt-core only warns of a method that it does not know and selects nothing
        assert lines is None or lines == [], line
        assert done.returncode == 2 and done.stderr and not done.stdout, f"{line}: {done.returncode} {done.stdout[:200]}"


def test_json_lines_say_what_dbt_core_says(binary, project, tmp_path):
    lines = ["--output json", "--output json -s +customers", "--output json --output-keys name resource_type config.materialized -s customers",
             "--output json --output-keys unique_id alias -s stg_orders"]
    for line, expected in zip(lines, core(project, tmp_path / "core", lines)):
        done = ours(binary, project, shlex.split(line))
        key = lambda node: json.dumps(node, sort_keys=True)  # noqa: E731

        def plain(text):
            node = json.loads(text)
            for name in ("nodes", "macros"):
                if name in node.get("depends_on", {}):
                    node["depends_on"][name] = sorted(node["depends_on"][name])
            if "tags" in node:
                node["tags"].sort()
            return node

        assert sorted(map(plain, done.stdout.splitlines()), key=key) == sorted(map(plain, expected), key=key), line
