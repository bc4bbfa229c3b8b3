"""report.html, the pages of quern up and /metrics, over monitoring tables that are made up (monitored.py)."""

import http.client
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from urllib.parse import quote, urljoin, urlsplit

import monitored
import pytest
from quern_project import ROOT, Project, copy_project

EVIL = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
NOW = {"QUERN_NOW": "2026-01-02T00:30:00Z"}


class Links(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.hrefs, self.tags, self.handlers = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "style"]
        self.hrefs += [value for name, value in attrs if name in ("href", "src")]


class Site:
    def __init__(self, where):
        self.port = urlsplit(where).port

    def ask(self, path, method="GET", host=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.putrequest(method, path, skip_host=True)
        if host != "":
            connection.putheader("Host", host or f"127.0.0.1:{self.port}")
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        answer.text = answer.read().decode("utf-8")
        connection.close()
        return answer

    def metrics(self):
        lines = [line for line in self.ask("/metrics").text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


@pytest.fixture(scope="module")
def shop(binary, tmp_path_factory):
    folder = copy_project(ROOT / "examples" / "shop", tmp_path_factory.mktemp("pages") / "shop")
    made = Project(folder, binary)
    text = (folder / "quern.yml").read_text("utf-8")
    (folder / "quern.yml").write_text(text + '  monthly: {cron: "0 0 1 * *", timezone: America/New_York, select: "tag:none", start: 2030-01-01}\n', "utf-8")
    made.plain = made.quern("run", "daily", "--date", "2026-01-01", env=NOW)
    made.plain_report = (folder / "report.html").read_text("utf-8")
    monitored.write(made, monitored.binary(), monitored.regression(), monitored.classes(), monitored.binary("evil", EVIL),
                    "CREATE TABLE monitoring.other_performance AS SELECT 1 AS speed;\n",
                    "CREATE TABLE monitoring.odd_drift AS SELECT 'x' AS feature, 'y' AS value, DATE '2026-01-01' AS period_start;\n")
    made.after = made.quern("run", "daily", "--date", "2026-01-01", "--rerun", env=NOW)
    return made


@pytest.fixture(scope="module")
def site(shop):
    process = shop.start("up", "--port", "0", env=NOW)
    seen = []
    for line in process.stdout:
        seen.append(line.decode())
        if where := re.search(r"http://\S+", seen[-1]):
            break
    else:
        pytest.fail("".join(seen))
    yield Site(where[0])
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0, process.stdout.read().decode()


def test_the_report_has_models_only_where_there_are_some(shop):
    assert "<h2>Model" not in shop.plain_report
    assert "champion" not in shop.plain.out
    text = (shop.folder / "report.html").read_text("utf-8")
    for part in ("Model late_arrival", "champion v3 since the run of 2013-08", "p2_last_3_months ★", "calibration", "class balance", "predicted scores",
                 "asked for because age 3 months", "Model use", "RMSE", "R²", "Model room", "predicted classes", "the prediction", "origin=JFK"):
        assert part in text, part
    assert "Model other" not in text  # a table of somebody else's
    assert EVIL not in text
    # Nothing from outside, and no markup out of a table.
    page = Links(text)
    assert page.hrefs == [] and page.handlers == [] and "img" not in page.tags
    assert text.count("<script") == 2 and "url(" not in text and "@import" not in text


def test_the_terminal_says_what_became_of_the_models(shop):
    out = shop.after.out
    assert "late_arrival: champion v3; 4 retrainings: 3 promoted, 1 rejected" in out
    line = next(line for line in out.splitlines() if line.startswith("2013-11") and "AUC" not in line)
    assert "v3" in line and "0.6900 (0.5000)" in line and "rejected" in line
    assert "RMSE (dummy)" in out


def test_every_page_that_is_linked_is_there(site):
    todo, seen, texts = ["/"], set(), {}
    while todo and len(seen) < 400:
        path = todo.pop(0)
        if path in seen:
            continue
        seen.add(path)
        answer = site.ask(path)
        assert answer.status == 200, (path, answer.text[:2000])
        if path == "/style.css":
            continue
        texts[path] = answer.text
        page = Links(answer.text)
        assert not page.tags & {"script", "img", "iframe", "form", "object"} and not page.handlers, path
        assert "script-src" not in answer.headers["Content-Security-Policy"] and "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Frame-Options"] == "DENY" and answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        for href in page.hrefs:
            assert href.startswith(("/", "data:,")) and not href.startswith("//"), (path, href)
            if href.startswith("/"):
                todo.append(urljoin(path, href))
    for path in ("/runs", "/graph", "/tables", "/models", "/models/late_arrival", "/models/evil", "/runs/daily/2026-01-01",
                 "/runs/daily/2026-01-01/logs/model.shop.fct_orders", "/tables/raw.orders", "/tables/monitoring.late_arrival_drift",
                 "/graph?node=model.shop.fct_orders"):
        assert path in seen, path
    assert "rows" in texts["/runs/daily/2026-01-01/logs/model.shop.fct_orders"]
    assert "href=\"/graph?node=ingest.orders\"" in texts["/tables/raw.orders"]
    assert "p2_last_3_months" in texts["/models/late_arrival"]


def test_only_its_own_names_are_answered(site):
    for path in ("/", "/metrics", "/health", "/style.css"):
        for host in ("localhost", f"localhost:{site.port}", "127.0.0.1", f"[::1]:{site.port}"):
            assert site.ask(path, host=host).status == 200, (path, host)
        for host in ("evil.example", f"evil.example:{site.port}", "127.0.0.1.evil.example", "169.254.169.254", "localhost@evil.example"):
            answer = site.ask(path, host=host)
            assert answer.status == 403 and "shop" not in answer.text, (path, host)
        assert site.ask(path, host="").status == 400


def test_head_and_other_methods(site):
    for path in ("/", "/models/late_arrival", "/metrics"):
        answer = site.ask(path, "HEAD")
        assert answer.status == 200 and answer.text == "" and int(answer.headers["Content-Length"]) > 500
    for method in ("POST", "PUT", "DELETE"):
        answer = site.ask("/runs", method, headers={"Content-Length": "0"})
        assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD"


def test_what_is_not_there_is_said_and_helped_with(site):
    for path, part in (("/runs/daily/2026-01-09", "There is no run"), ("/tables/raw.order", "Did you mean"), ("/models/late_arival", "Did you mean"),
                       ("/graph?node=model.shop.fct_order", "Did you mean"), ("/nothing", "There is no page"), ("/runs/daily", "is a schedule"),
                       ("/runs/daily/2026-01-01/logs/model.shop.fct_orders?try=7", "no try"), (f"/models/{quote(EVIL, safe='')}", "There is no model"),
                       (f"/{quote(EVIL, safe='')}", "There is no page")):
        answer = site.ask(path)
        assert answer.status == 404 and part in answer.text, path
        page = Links(answer.text)
        assert "script" not in page.tags and "img" not in page.tags and "/runs" in page.hrefs


def test_no_path_leads_out_of_the_logs(site):
    for way in ("..%2f..%2f..%2f..%2fquern.yml", "%2e%2e", "..", "%2fetc%2fpasswd", "model.shop.fct_orders%00", "..%5c..%5cquern.yml"):
        for path in (f"/runs/daily/2026-01-01/logs/{way}", f"/runs/daily/{way}/logs/x", f"/runs/{way}/2026-01-01/logs/1", f"/tables/{way}", f"/models/{way}",
                     f"/runs/daily/2026-01-01/logs/model.shop.fct_orders?try={way}"):
            answer = site.ask(path)
            assert answer.status == 404 and "cron:" not in answer.text and "root:" not in answer.text, path


def test_metrics_say_what_the_tables_say_and_follow_them(site, shop):
    found = site.metrics()
    assert found['ml_model_auc{model="late_arrival",predictor="model"}'] == pytest.approx(0.69)
    assert found['ml_model_auc{model="late_arrival",predictor="dummy"}'] == 0.5
    assert found['ml_model_rmse{model="use",predictor="model"}'] == 18.5
    assert found['ml_model_drift_share{model="late_arrival"}'] == pytest.approx(0.1)
    assert found['ml_model_champion_version{model="late_arrival"}'] == 3
    assert found['model_retraining_triggered_total{model="late_arrival"}'] == 4
    assert found['model_retraining_promoted_total{model="late_arrival"}'] == 3
    assert found['model_retraining_rejected_total{model="late_arrival"}'] == 1
    assert found['ml_model_predictions{model="late_arrival"}'] == 280000
    drift = {name: value for name, value in found.items() if name.startswith('ml_model_feature_drift{model="late_arrival"')}
    assert len(drift) == 11
    start = "SELECT max(period_start) FROM monitoring.use_performance"
    shop.quern("sql", f"UPDATE monitoring.use_performance SET rmse = 3.25 WHERE period_start = ({start})")
    assert site.metrics()['ml_model_rmse{model="use",predictor="model"}'] == 3.25
    assert "3.250" in site.ask("/models/use").text


def test_many_readers_at_once(site):
    paths = ["/", "/runs", "/graph", "/tables", "/models/late_arrival", "/tables/monitoring.late_arrival_drift", "/metrics", "/health"] * 25
    with ThreadPoolExecutor(12) as pool:
        assert {answer.status for answer in pool.map(site.ask, paths)} == {200}
