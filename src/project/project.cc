#include "project/project.h"

#include <thread>

#include "base/ids.h"
#include "base/log.h"
#include "base/text.h"
#include "io/git.h"
#include "project/rerun.h"

namespace quern::project {
namespace {

namespace fs = std::filesystem;
using graph::NodeIndex;

// A selector's error stands in the schedule that names it.
Error InSchedule(const Error& error, const std::string& schedule, const SourcePos& pos) {
  return Error(error.code(), fmt::format("schedule '{}': {}", schedule, error.message())).At(pos).Hint(error.hint());
}

// A load that cuts nested values into child tables (<table>__<path>) learns their names from the data. Whoever reads
// such a table waits for that load, also before the first one.
void AdoptChildTables(std::vector<schedule::NodeGraph::Entry>& entries) {
  std::map<std::string, schedule::NodeGraph::Entry*> written, parents;
  for (auto& entry : entries) {
    for (const auto& table : entry.node.writes) written[table.Key()] = &entry;
    auto nested = entry.node.config.find("nested");
    bool cuts = nested != entry.node.config.end() && *nested == "child_tables";
    if (cuts && !entry.node.writes.empty()) parents[entry.node.writes[0].Key() + "__"] = &entry;
  }
  for (auto& entry : entries) {
    for (const auto& read : entry.node.reads) {
      if (written.contains(read.table.Key())) continue;
      for (auto& [prefix, parent] : parents) {
        if (parent == &entry || !read.table.Key().starts_with(prefix)) continue;
        parent->node.writes.push_back(read.table);
        written[read.table.Key()] = parent;
        break;
      }
    }
  }
}

}  // namespace

Project::Project(OpenOptions options, Config config, Target target)
    : options_(std::move(options)),
      config_(std::move(config)),
      target_(std::move(target)),
      invocation_id_(RandomUuid()) {
  preparer_ = MakeRerunPreparer([this] { return warehouse(); });
}

Project::~Project() = default;

Result<std::unique_ptr<Project>> Project::Open(const OpenOptions& options, Diagnostics& diagnostics) {
  auto root = QUERN_TRY(FindProject(options.project_dir));
  Diagnostics found;
  auto config = LoadConfig(root, found);
  if (!config) {
    if (found.errors().empty())
      return Fail(Error(ErrorCode::kProject, "quern.yml cannot be read").At({"quern.yml", 0, 0}));
    return Fail(found.errors().front());
  }
  diagnostics.Append(std::move(found));
  auto target = QUERN_TRY(config->FindTarget(options.target));
  auto copy = options;
  if (!copy.clock) copy.clock = &Clock::System();
  return std::unique_ptr<Project>(new Project(std::move(copy), *std::move(config), std::move(target)));
}

int Project::threads() const {
  if (options_.threads > 0) return options_.threads;
  if (target_.threads > 0) return target_.threads;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

fs::path Project::log_root() const {
  return target_.state.parent_path() / "logs";
}
fs::path Project::report_path() const {
  return config_.root / "report.html";
}

void Project::AddProvider(std::unique_ptr<schedule::NodeProvider> provider) {
  providers_.push_back(std::move(provider));
}

void Project::Load(Diagnostics& diagnostics) {
  std::vector<schedule::NodeGraph::Entry> entries;
  for (auto& provider : providers_) {
    for (auto& node : provider->Load(diagnostics)) entries.push_back({std::move(node), provider.get()});
  }
  AdoptChildTables(entries);
  graph_ = schedule::NodeGraph::Build(std::move(entries), diagnostics);
  CheckSchedules(diagnostics);
}

void Project::CheckSchedules(Diagnostics& diagnostics) {
  for (const auto& [name, config] : config_.schedules) {
    if (!config.cron.empty()) {
      auto made = MakeSchedule(config);
      if (!made) diagnostics.Add(Error(made.error()).At(config.cron_pos));
    }
    for (bool exclude : {false, true}) {
      const auto& pos = exclude ? config.exclude_pos : config.select_pos;
      for (const auto& text : exclude ? config.exclude : config.select) {
        auto selected = graph_.Select({text}, {}, {.root_package = config_.name});
        if (!selected) {
          diagnostics.Add(InSchedule(selected.error(), name, pos));
          continue;
        }
        for (const auto& warning : selected->warnings) diagnostics.Warn(InSchedule(warning, name, pos));
      }
    }
  }
}

void Project::Check(Diagnostics& diagnostics) {
  CheckReads(diagnostics);
  for (auto& provider : providers_) provider->Check(diagnostics);
}

void Project::CheckReads(Diagnostics& diagnostics) {
  std::vector<std::string> written;
  for (NodeIndex i = 0; i < graph_.size(); ++i) {
    for (const auto& table : graph_.node(i).writes) written.push_back(table.schema + "." + table.table);
  }
  for (NodeIndex i = 0; i < graph_.size(); ++i) {
    const auto& node = graph_.node(i);
    for (const auto& read : node.reads) {
      if (graph_.WriterOf(read.table)) continue;
      auto name = read.table.schema + "." + read.table.table;
      auto house = warehouse();
      auto there = house ? (*house)->Exists({read.table.schema, read.table.table}) : Result<bool>(Fail(house.error()));
      if (!there) {
        diagnostics.Add(there.error());
        return;  // the warehouse itself is at fault: once is enough
      }
      if (*there) continue;
      auto hint = DidYouMean(name, written);
      diagnostics.Add(
          Error(ErrorCode::kUnknownNode,
                fmt::format("{} reads {}, which nothing writes and which is not in the warehouse", node.id, name))
              .At(read.pos.known() ? read.pos : node.pos)
              .Hint(hint.empty() ? "name the table as the load or script that writes it does" : hint));
    }
  }
}

Result<schedule::Schedule> Project::MakeSchedule(const ScheduleConfig& config) const {
  auto cron = QUERN_TRY(schedule::Cron::Parse(config.cron, config.zone));
  return schedule::Schedule{
      .name = config.name,
      .timetable = schedule::Timetable(std::move(cron), {.start = config.start, .end = config.end}),
      .catchup = config.catchup,
      .full_refresh = config.full_refresh};
}

Result<schedule::Schedule> Project::FindSchedule(const std::string& name) const {
  return MakeSchedule(QUERN_TRY(config_.FindSchedule(name)));
}

std::vector<schedule::Schedule> Project::AllSchedules() const {
  std::vector<schedule::Schedule> out;
  for (const auto& [name, config] : config_.schedules) {
    auto made = MakeSchedule(config);
    if (made) out.push_back(*std::move(made));
  }
  return out;
}

Result<schedule::Workload> Project::Select(const std::vector<std::string>& select,
                                           const std::vector<std::string>& exclude,
                                           std::vector<Error>* warnings) const {
  auto selection = QUERN_TRY(graph_.Select(select, exclude, {.root_package = config_.name}));
  if (warnings) warnings->insert(warnings->end(), selection.warnings.begin(), selection.warnings.end());
  return schedule::Workload{
      .graph = &graph_, .selected = std::move(selection.nodes), .select = select, .exclude = exclude};
}

Result<schedule::Workload> Project::SelectFor(const std::string& name, const std::vector<std::string>& select,
                                              const std::vector<std::string>& exclude,
                                              std::vector<Error>* warnings) const {
  auto config = QUERN_TRY(config_.FindSchedule(name));
  auto without = config.exclude;
  without.insert(without.end(), exclude.begin(), exclude.end());
  return Select(select.empty() ? config.select : select, without, warnings);
}

Json Project::vars() const {
  Json out = config_.vars;
  for (const auto& [key, value] : options_.vars.items()) out[key] = value;
  return out;
}

schedule::RunContext Project::BaseContext() {
  if (!git_commit_) {
    auto git = io::ReadGitState(config_.root);
    if (!git) LogWarning("project", "the state of the git checkout cannot be read: {}", git.error().message());
    git_commit_ = git && *git ? (*git)->ToString() : "";
  }
  schedule::RunContext out;
  out.vars = vars();
  out.target = target_.name;
  out.git_commit = *git_commit_;
  out.invocation_id = invocation_id_;
  out.clock = options_.clock;
  return out;
}

schedule::RunContext Project::ManualContext() {
  auto out = BaseContext();
  Timestamp now = options_.clock->Now();
  out.schedule = "manual";
  out.dag_run = "manual/" + FormatUtc(now);
  out.logical_date = now;
  out.interval = {now, now};
  return out;
}

Result<warehouse::Warehouse*> Project::warehouse() {
  std::lock_guard lock(warehouse_mutex_);
  if (!warehouse_) {
    warehouse_ = QUERN_TRY(warehouse::Warehouse::Open(
        {.root = target_.warehouse, .threads = threads(), .memory_limit = target_.memory_limit}));
  }
  return warehouse_.get();
}

Result<tracking::Store*> Project::tracking() {
  std::lock_guard lock(tracking_mutex_);
  if (!tracking_) {
    tracking_ = QUERN_TRY(tracking::Store::Open(
        {.path = target_.tracking.string(), .artifact_root = target_.artifacts, .clock = options_.clock}));
  }
  return tracking_.get();
}

Result<tracking::Store*> Project::tracking_if_any() {
  std::error_code ignored;
  if (!fs::exists(target_.tracking, ignored)) return nullptr;
  return tracking();
}

Result<schedule::RunStore*> Project::runs() {
  if (store_ && !store_read_only_) return store_.get();
  store_.reset();
  database_.reset();
  database_ = QUERN_TRY(state::Database::Open({.url = target_.state.string()}));
  store_ = QUERN_TRY(schedule::RunStore::Open(database_.get(), target_.name, options_.clock));
  store_read_only_ = false;
  return store_.get();
}

Result<schedule::RunStore*> Project::runs_if_any() {
  if (store_) return store_.get();
  std::error_code ignored;
  if (!fs::exists(target_.state, ignored)) return nullptr;
  database_ = QUERN_TRY(state::Database::Open({.url = target_.state.string(), .read_only = true}));
  store_ = QUERN_TRY(schedule::RunStore::Open(database_.get(), target_.name, options_.clock, true));
  store_read_only_ = true;
  return store_.get();
}

}  // namespace quern::project
