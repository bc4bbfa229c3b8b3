#include "server/status_pages.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "base/secrets.h"
#include "report/model_fixture.h"
#include "schedule/task_log.h"
#include "server/page.h"
#include "state/database.h"

namespace quern::server {
namespace {

namespace fs = std::filesystem;
using schedule::RunContext;

bool Has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

const std::string kEvil = "</pre><script>alert('1')</script>\"";

class StatusPagesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "pages-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    database_ = std::move(*state::Database::Open({.url = (folder_ / "state.db").string()}));
    store_ = std::move(*schedule::RunStore::Open(database_.get(), "dev", &clock_));
    sources_.store = store_.get();
    sources_.schedules = [this] { return schedules_; };
    sources_.clock = &clock_;
    sources_.project = "shop" + kEvil;
    sources_.log_root = folder_ / "logs";
    models_ = std::make_unique<ModelCache>(sources_);
    schedules_ = {{"daily", "waiting", {}, clock_.Now(), kEvil}};
    routes_ = StatusPages(sources_, *models_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  HttpResponse Get(const std::string& path, std::map<std::string, std::string> query = {}) {
    HttpRequest request{
        .method = "GET", .path = path, .segments = {}, .query = std::move(query), .headers = {}, .body = {}};
    for (size_t from = 1; from <= path.size();) {
      size_t to = std::min(path.find('/', from), path.size());
      request.segments.push_back(path.substr(from, to - from));
      from = to + 1;
    }
    return Ask(request);
  }
  HttpResponse Ask(const HttpRequest& request) {
    const HttpServer::Route* found = nullptr;
    for (const auto& route : routes_) {
      const bool below =
          route.path.ends_with("/*") && request.path.starts_with(route.path.substr(0, route.path.size() - 1));
      if (route.path == request.path || (below && found == nullptr)) found = &route;
    }
    auto response = found->handler(request);
    EXPECT_FALSE(Has(response.body, "<script")) << request.path;
    EXPECT_FALSE(Has(response.body, "alert('1')")) << request.path;
    return response;
  }
  // A run with one task, of that many tries; each try's log says which it is.
  void AddRun(const std::string& dag, const std::string& rest, const std::string& node, int tries = 1,
              const std::string& text = "") {
    schedule::Node one;
    one.id = node;
    one.kind = "model";
    RunContext context;
    context.schedule = dag;
    context.dag_run = dag + "/" + rest;
    context.logical_date = clock_.Now() + std::chrono::hours(runs_++);
    context.interval = {context.logical_date, context.logical_date};
    context.target = "dev";
    context.clock = &clock_;
    auto claim = store_->Take({.run = &context, .nodes = {&one}});
    ASSERT_TRUE(claim) << claim.error().ToString();
    for (int i = 1; i <= tries; ++i) {
      schedule::TaskInstance task;
      task.node = node;
      task.kind = "model";
      task.state = i == tries ? "success" : "up_for_retry";
      task.try_number = i;
      task.started = task.ended = clock_.Now();
      task.message = kEvil;
      task.error = Json{{"message", kEvil}, {"hint", kEvil}, {"file", "a.sql"}, {"line", 3}};
      ASSERT_TRUE((*claim)->Record({task}));
      auto path = schedule::TaskLogPath(sources_.log_root, dag, context.dag_run, node, i);
      fs::create_directories(path.parent_path());
      std::ofstream(path) << "log of try " << i << "\n" << text << kEvil << "\n";
    }
    ASSERT_TRUE((*claim)->Finish("success", kEvil));
  }

  FixedClock clock_{*ParseTimestamp("2026-01-05T03:00:00Z", TimeZone::Utc())};
  fs::path folder_;
  std::unique_ptr<state::Database> database_;
  std::unique_ptr<schedule::RunStore> store_;
  StatusSources sources_;
  std::vector<schedule::Scheduler::Status> schedules_;
  std::unique_ptr<ModelCache> models_;
  std::vector<HttpServer::Route> routes_;
  int runs_ = 0;
};

TEST_F(StatusPagesTest, AProjectWithoutAnythingHasItsPages) {
  for (const auto* path : {"/", "/runs", "/graph", "/tables", "/models"}) {
    auto page = Get(path);
    EXPECT_EQ(page.status, 200) << path;
    EXPECT_TRUE(Has(page.body, "<nav>")) << path;
  }
  EXPECT_TRUE(Has(Get("/style.css").body, "prefers-color-scheme"));
  EXPECT_EQ(Get("/style.css").content_type, "text/css; charset=utf-8");
}

TEST_F(StatusPagesTest, HeadersKeepOtherSitesOut) {
  auto page = Get("/");
  std::map<std::string, std::string> headers(page.headers.begin(), page.headers.end());
  EXPECT_TRUE(Has(headers["Content-Security-Policy"], "default-src 'none'"));
  EXPECT_TRUE(Has(headers["Content-Security-Policy"], "frame-ancestors 'none'"));
  EXPECT_EQ(headers["X-Frame-Options"], "DENY");
  EXPECT_EQ(headers["Cache-Control"], "no-store");
  EXPECT_FALSE(Has(page.body, "style=")) << "the policy forbids it";
}

TEST_F(StatusPagesTest, RunsTasksAndLogs) {
  RegisterSecret("t0ps3cret");
  AddRun("daily", "2026-01-01", "model.shop.a", 2, "key t0ps3cret\n");
  AddRun("manual", "x y" + kEvil, "model." + kEvil);
  auto runs = Get("/runs");
  EXPECT_TRUE(Has(runs.body, "href=\"/runs/daily/2026-01-01\""));
  EXPECT_FALSE(Has(Get("/runs", {{"dag", "manual"}}).body, "2026-01-01\""));
  EXPECT_FALSE(Has(Get("/runs", {{"state", kEvil}}).body, "/runs/daily/2026-01-01\""));
  auto run = Get("/runs/daily/2026-01-01");
  EXPECT_EQ(run.status, 200);
  EXPECT_TRUE(Has(run.body, "href=\"/runs/daily/2026-01-01/logs/model.shop.a\""));
  EXPECT_TRUE(Has(run.body, "a.sql:3: "));
  auto log = Get("/runs/daily/2026-01-01/logs/model.shop.a");
  EXPECT_TRUE(Has(log.body, "log of try 2"));
  EXPECT_FALSE(Has(log.body, "t0ps3cret"));
  EXPECT_TRUE(Has(log.body, "?try=1\""));
  EXPECT_TRUE(Has(Get("/runs/daily/2026-01-01/logs/model.shop.a", {{"try", "1"}}).body, "log of try 1"));
  HttpRequest odd{.method = "GET",
                  .path = "/runs/x",
                  .segments = {"runs", "manual", "x y" + kEvil},
                  .query = {},
                  .headers = {},
                  .body = {}};
  EXPECT_EQ(Ask(odd).status, 200);
  odd.segments.insert(odd.segments.end(), {"logs", "model." + kEvil});
  EXPECT_EQ(Ask(odd).status, 200);
}

TEST_F(StatusPagesTest, WhatIsNotThereIsNotFoundAndHelps) {
  AddRun("daily", "2026-01-01", "model.shop.a");
  for (const auto* path :
       {"/nothing", "/runs/daily", "/runs/daily/2026", "/runs/daily/latest", "/runs/x/latest",
        "/runs/daily/2026-01-01/nothing", "/runs/daily/2026-01-01/logs", "/runs/daily/2026-01-01/logs/model.shop.b",
        "/runs/daily/2026-01-01/logs/model.shop.a/x", "/tables/a.b", "/tables/x/y", "/models/m"}) {
    auto page = Get(path);
    EXPECT_EQ(page.status, 404) << path;
    EXPECT_TRUE(Has(page.body, "href=\"/runs")) << path;
  }
  for (const auto* number : {"0", "2", "-1", "x", "1x", "99999999999999999999", "../1"})
    EXPECT_EQ(Get("/runs/daily/2026-01-01/logs/model.shop.a", {{"try", number}}).status, 404) << number;
}

TEST_F(StatusPagesTest, NoAddressLeavesTheLogsFolder) {
  AddRun("daily", "2026-01-01", "model.shop.a");
  std::ofstream(folder_ / "1.log") << "not for you\n";
  fs::create_directories(folder_ / "secret");
  std::ofstream(folder_ / "secret" / "1.log") << "not for you\n";
  using Parts = std::vector<std::string>;
  for (const auto& segments :
       {Parts{"runs", "daily", "2026-01-01", "logs", "../../../secret"}, Parts{"runs", "..", "..", "logs", "secret"},
        Parts{"runs", "daily", "../..", "logs", "."}, Parts{"runs", "daily", "2026-01-01/../../..", "logs", "secret"},
        Parts{"runs", "daily", "2026-01-01", "logs", "/etc/passwd"},
        Parts{"runs", "daily", "2026-01-01", "logs", std::string("model.shop.a\0x", 14)}}) {
    HttpRequest request{
        .method = "GET", .path = "/runs/x", .segments = segments, .query = {}, .headers = {}, .body = {}};
    auto page = Ask(request);
    EXPECT_EQ(page.status, 404) << segments.back();
    EXPECT_FALSE(Has(page.body, "not for you"));
  }
  // A node of such a name keeps its log inside.
  AddRun("..", "..", "../../secret");
  HttpRequest own{.method = "GET",
                  .path = "/runs/x",
                  .segments = {"runs", "..", "..", "logs", "../../secret"},
                  .query = {},
                  .headers = {},
                  .body = {}};
  EXPECT_TRUE(Has(Ask(own).body, "log of try 1"));
}

TEST_F(StatusPagesTest, LongListsArePaged) {
  for (int i = 0; i < 120; ++i) AddRun("daily", fmt::format("r{:03}", i), "model.shop.a");
  auto first = Get("/runs"), second = Get("/runs", {{"page", "2"}}), last = Get("/runs", {{"page", "3"}});
  EXPECT_TRUE(Has(first.body, "/runs/daily/r119\""));
  EXPECT_FALSE(Has(first.body, "/runs/daily/r069\""));
  EXPECT_TRUE(Has(first.body, "href=\"/runs?page=2\""));
  EXPECT_TRUE(Has(second.body, "/runs/daily/r069\""));
  EXPECT_TRUE(Has(second.body, "href=\"/runs?page=1\""));
  EXPECT_TRUE(Has(last.body, "/runs/daily/r000\""));
  EXPECT_FALSE(Has(last.body, "older"));
  for (const auto* page : {"-5", "99999999999999", "x", "400"}) EXPECT_EQ(Get("/runs", {{"page", page}}).status, 200);
}

TEST_F(StatusPagesTest, LongLogsComeInPartsOfWholeLines) {
  std::string text;
  for (int i = 0; i < 60000; ++i) text += fmt::format("line {:05}\n", i);
  AddRun("daily", "2026-01-01", "model.shop.a", 1, text);
  const std::string path = "/runs/daily/2026-01-01/logs/model.shop.a";
  EXPECT_TRUE(Has(Get(path).body, "line 59999")) << "the end comes first";
  std::string all;
  for (int part = 0; part < 3; ++part) {
    auto body = Get(path, {{"part", std::to_string(part)}}).body;
    size_t from = body.find("<pre class=\"log\">") + 17;
    all += body.substr(from, body.find("</pre>", from) - from);
  }
  EXPECT_EQ(all, "log of try 1\n" + text + Escape(kEvil) + "\n");
}

TEST_F(StatusPagesTest, ModelsComeFromTheRegistryAndAreReadOnce) {
  int reads = 0;
  sources_.warehouse_root = folder_ / "warehouse";
  fs::create_directories(folder_ / "warehouse/monitoring/m_drift/_delta_log");
  sources_.warehouse = []() -> Result<warehouse::Warehouse*> { return Fail(Error(ErrorCode::kIo, "no engine here")); };
  sources_.registry = [&]() -> Result<std::vector<report::RegistryModel>> {
    ++reads;
    return std::vector<report::RegistryModel>{
        {kEvil,
         kEvil,
         {{.version = 7, .run_id = kEvil, .status = kEvil, .description = kEvil, .aliases = {"champion", kEvil}}}}};
  };
  auto page = Get("/models");
  EXPECT_TRUE(Has(page.body, "no engine here"));
  EXPECT_TRUE(Has(page.body, "<b>v7</b>"));
  EXPECT_TRUE(Has(Get("/").body, "<b>v7</b>"));
  HttpRequest one{
      .method = "GET", .path = "/models/x", .segments = {"models", kEvil}, .query = {}, .headers = {}, .body = {}};
  EXPECT_TRUE(Has(Ask(one).body, "champion v7"));
  // Read again while there is trouble; once all is well only when something changed.
  fs::remove_all(folder_ / "warehouse/monitoring");
  Get("/models");
  const int before = reads;
  Get("/models");
  Get("/");
  EXPECT_EQ(reads, before);
  fs::create_directories(folder_ / "warehouse/predictions/m/_delta_log");
  Get("/models");
  EXPECT_EQ(reads, before + 1);
}

TEST_F(StatusPagesTest, TheGraphCanBeWalked) {
  Diagnostics diagnostics;
  auto node = [](std::string id, std::string kind, std::vector<std::string> needs) {
    schedule::NodeGraph::Entry entry;
    entry.node.id = entry.node.name = std::move(id);
    entry.node.kind = std::move(kind);
    entry.node.description = kEvil;
    entry.node.depends_on = std::move(needs);
    return entry;
  };
  auto entries = std::vector{node("ingest.a", "ingest", {}), node("model.b", "model", {"ingest.a"}),
                             node("model.c", "model", {}), node("test.t" + kEvil, "test", {"model.b"})};
  entries[1].node.writes = {{"marts", "b"}};
  auto graph = schedule::NodeGraph::Build(std::move(entries), diagnostics);
  sources_.graph = &graph;
  AddRun("daily", "2026-01-01", "model.b");
  auto whole = Get("/graph");
  EXPECT_TRUE(Has(whole.body, "aria-label=\"the graph\""));
  EXPECT_TRUE(Has(whole.body, "href=\"/graph?node=model.c\""));
  auto one = Get("/graph", {{"node", "model.b"}});
  EXPECT_TRUE(Has(one.body, "href=\"/tables/marts.b\""));
  EXPECT_TRUE(Has(one.body, "href=\"/runs/daily/2026-01-01/logs/model.b\""));
  EXPECT_FALSE(Has(one.body, "node=model.c"));
  auto unwritten = Get("/tables/marts.b");
  EXPECT_EQ(unwritten.status, 200);
  EXPECT_TRUE(Has(unwritten.body, "href=\"/graph?node=model.b\""));
  auto wrong = Get("/graph", {{"node", "model.bb"}});
  EXPECT_EQ(wrong.status, 404);
  EXPECT_TRUE(Has(wrong.body, "Did you mean"));
}

}  // namespace
}  // namespace quern::server
