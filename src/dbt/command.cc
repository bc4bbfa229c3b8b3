#include "dbt/command.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <thread>

#include "base/ids.h"
#include "base/secrets.h"
#include "base/text.h"
#include "dbt/artifacts.h"
#include "dbt/command_options.h"
#include "dbt/project.h"
#include "dbt/provider.h"
#include "dbt/run_state.h"
#include "schedule/node_graph.h"
#include "schedule/runner.h"

namespace quern::dbt {

namespace fs = std::filesystem;

std::string CommandHelp() {
  return R"(usage: quern dbt COMMAND [options]

commands
  run        build the selected models
  build      seeds, models, snapshots and tests, in the order of the graph
  test       run the selected tests
  seed       load CSV files
  snapshot   record how rows change
  compile    write the models' SQL to target/compiled
  ls         list nodes
  parse      read the project and write target/manifest.json

options
  -s, --select SELECTOR...   nodes to take, in dbt's selection syntax
      --exclude SELECTOR...  nodes to leave out
      --resource-type KIND   only nodes of a kind (build, ls)
      --indirect-selection eager|cautious|buildable|empty
  -f, --full-refresh         build incremental models and seeds anew
  -x, --fail-fast            stop after the first failure
      --store-failures       keep the rows that break a test
      --vars YAML            values for var()
  -t, --target NAME          target of the profile
      --profile NAME, --profiles-dir DIR, --project-dir DIR, --target-path DIR, --threads N
      --output selector|name|path|json, --output-keys KEY... (ls)
  -q, --quiet                errors only

exit codes: 0 done, 1 a node or test failed, 2 could not run, 3 stopped
)";
}

namespace {

/// dbt's lines: a clock time, two blanks, text.
class Console {
 public:
  Console(std::ostream& out, std::ostream& err, const Clock& clock, bool quiet, bool colours)
      : out_(out), err_(err), clock_(clock), quiet_(quiet), colours_(colours) {}
  void Line(const std::string& text) {
    std::lock_guard lock(mutex_);
    if (!quiet_)
      out_ << FormatTime(TimeZone::Utc().ToLocal(clock_.Now()), "%H:%M:%S") << "  " << text << "\n" << std::flush;
  }
  void Plain(const std::string& text) {
    std::lock_guard lock(mutex_);
    out_ << text << "\n" << std::flush;
  }
  void Problem(const std::string& text) {
    std::lock_guard lock(mutex_);
    err_ << text << "\n" << std::flush;
  }
  std::string Paint(const std::string& text, const char* colour) const {
    return colours_ ? std::string("\033[") + colour + "m" + text + "\033[0m" : text;
  }

 private:
  std::ostream& out_;
  std::ostream& err_;
  const Clock& clock_;
  bool quiet_, colours_;
  std::mutex mutex_;
};

std::string Described(const Workspace& workspace, const ManifestNode& node) {
  std::string relation = node.schema + "." + node.alias;
  switch (node.type) {
    case ResourceType::kModel:
      return "sql " + node.materialized() + " model " + relation;
    case ResourceType::kSeed:
      return "seed file " + relation;
    case ResourceType::kSnapshot:
      return "snapshot " + relation;
    case ResourceType::kTest:
      return "test " + node.name;
    default:
      break;
  }
  (void)workspace;
  return std::string(ResourceTypeName(node.type)) + " " + node.name;
}

std::string Dots(const std::string& text, size_t width = 79) {
  std::string out = text + " ";
  while (out.size() < width) out += '.';
  return out;
}

/// Prints what a run does, one line at a start and one at an end, as dbt does.
class Progress : public schedule::RunObserver {
 public:
  Progress(Console& console, const Workspace& workspace, bool compiling)
      : console_(console), workspace_(workspace), compiling_(compiling) {}

  void RunBegins(const schedule::RunContext&, int total, int) override { total_ = total; }
  void TaskStarts(const schedule::Node& node, int try_number) override {
    if (try_number > 1 || compiling_) return;
    numbers_[node.id] = ++started_;
    const ManifestNode* found = workspace_.manifest().Find(node.id);
    if (found) console_.Line(Dots(Number(node.id) + "START " + Described(workspace_, *found)) + " [RUN]");
  }
  void TaskEnds(const schedule::FinishedTask& task, int, int) override {
    ++counts[task.state == "failed" && !task.result.error ? "failed" : task.state];
    const ManifestNode* node = workspace_.manifest().Find(task.node->id);
    if (!node) return;
    double seconds = static_cast<double>(MicrosSinceEpoch(task.ended) - MicrosSinceEpoch(task.started)) / 1e6;
    std::string took = " in " + fmt::format("{:.2f}s", seconds);
    if (!numbers_.count(node->unique_id)) numbers_[node->unique_id] = ++started_;
    std::string number = Number(node->unique_id);
    bool test = node->type == ResourceType::kTest;
    const std::string& message = task.result.message;
    if (task.state == "skipped") {
      console_.Line(Dots(number + "SKIP " + Described(workspace_, *node)) + " [" + console_.Paint("SKIP", "33") + "]");
    } else if (task.state == "failed") {
      bool failure = task.result.error && task.result.error->code() == ErrorCode::kDbtTestFailed;
      std::string word = failure ? message : "ERROR";
      std::string what =
          test ? (failure ? "FAIL " + std::to_string(task.result.rows.value_or(0)) + " " : "ERROR ") + node->name
               : "ERROR creating " + Described(workspace_, *node);
      console_.Line(Dots(number + what) + " [" + console_.Paint(word, "31") + took + "]");
      if (task.result.error) failures.push_back(*task.result.error);
    } else if (task.state == "cancelled") {
      console_.Line(Dots(number + "CANCEL " + Described(workspace_, *node)) + " [" + console_.Paint("CANCEL", "33") +
                    "]");
    } else if (compiling_) {
      return;
    } else if (task.state == "warned") {
      console_.Line(Dots(number + "WARN " + std::to_string(task.result.rows.value_or(0)) + " " + node->name) + " [" +
                    console_.Paint(message, "33") + took + "]");
    } else if (test) {
      console_.Line(Dots(number + "PASS " + node->name) + " [" + console_.Paint("PASS", "32") + took + "]");
    } else if (task.state == "no_op") {
      console_.Line(Dots(number + "NO-OP " + Described(workspace_, *node)) + " [" + console_.Paint("NO-OP", "33") +
                    took + "]");
    } else {
      const char* verb = node->type == ResourceType::kSeed       ? "OK loaded "
                         : node->type == ResourceType::kSnapshot ? "OK snapshotted "
                                                                 : "OK created ";
      std::string what =
          node->type == ResourceType::kSnapshot ? node->schema + "." + node->alias : Described(workspace_, *node);
      console_.Line(Dots(number + verb + what) + " [" + console_.Paint(message.empty() ? "OK" : message, "32") + took +
                    "]");
    }
  }

  std::map<std::string, int> counts;
  std::vector<Error> failures;

 private:
  std::string Number(const std::string& id) {
    return std::to_string(numbers_[id]) + " of " + std::to_string(total_) + " ";
  }
  Console& console_;
  const Workspace& workspace_;
  bool compiling_;
  int total_ = 0, started_ = 0;
  std::map<std::string, int> numbers_;
};

std::string CountsLine(const Manifest& manifest) {
  std::map<std::string, int> counts;
  for (const auto& [id, node] : manifest.nodes)
    ++counts[node->type == ResourceType::kTest ? "data test" : std::string(ResourceTypeName(node->type))];
  counts["source"] = static_cast<int>(manifest.sources.size());
  counts["exposure"] = static_cast<int>(manifest.exposures.size());
  counts["macro"] = static_cast<int>(manifest.macros.size());
  std::string out;
  for (const char* kind :
       {"model", "snapshot", "analysis", "data test", "seed", "operation", "source", "exposure", "macro"}) {
    int n = counts[kind];
    if (n == 0) continue;
    std::string plural = std::string(kind) == "analysis" ? "analyses" : std::string(kind) + "s";
    out += (out.empty() ? "" : ", ") + std::to_string(n) + " " + (n == 1 ? kind : plural);
  }
  return out;
}

/// Which kinds a command takes.
std::set<std::string> Kinds(const std::string& command) {
  if (command == "run") return {"model"};
  if (command == "test") return {"test"};
  if (command == "seed") return {"seed"};
  if (command == "snapshot") return {"snapshot"};
  if (command == "build") return {"model", "seed", "snapshot", "test"};
  if (command == "compile") return {"model", "snapshot", "test", "analysis"};
  return {"model", "seed", "snapshot", "test", "source", "exposure", "analysis"};
}

std::string SelectorOf(const ManifestNode& node) {
  if (node.type == ResourceType::kSource || node.type == ResourceType::kExposure) {
    std::string prefix = std::string(ResourceTypeName(node.type)) + ":";
    return prefix + node.package + "." + (node.type == ResourceType::kSource ? node.source_name + "." : "") + node.name;
  }
  return Join(node.fqn, ".");
}

class Command {
 public:
  Command(CommandOptions options, const CommandEnvironment& environment)
      : options_(std::move(options)),
        env_(environment),
        clock_(environment.clock ? *environment.clock : Clock::System()),
        console_(*environment.out, *environment.err, clock_, options_.quiet || options_.command == "ls",
                 environment.colours) {}

  int Run() {
    Diagnostics diagnostics;
    Provider provider(MakeOptions());
    std::vector<schedule::Node> nodes = provider.Load(diagnostics);
    if (!Report(diagnostics)) return 2;
    const Workspace& workspace = *provider.workspace();
    std::vector<schedule::NodeGraph::Entry> entries;
    for (schedule::Node& node : nodes) {
      // `build` holds back what lies downstream of a failed test; `test` runs each test, whatever the others find.
      if (options_.command != "build") node.gate = false;
      entries.push_back({std::move(node), &provider});
    }
    Diagnostics graph_problems;
    schedule::NodeGraph graph = schedule::NodeGraph::Build(std::move(entries), graph_problems);
    if (!Report(graph_problems)) return 2;
    if (options_.command == "parse") return Parse(workspace);
    Result<std::vector<bool>> selected = Select(graph);
    if (!selected) return Could(selected.error());
    if (options_.command == "ls") return List(workspace, graph, *selected);
    return Execute(workspace, graph, *selected);
  }

 private:
  ProviderOptions MakeOptions() {
    ProviderOptions out;
    fs::path dir = options_.project_dir ? env_.working_directory / *options_.project_dir : FindProject();
    std::error_code error;
    if (env_.dbt_project && !fs::exists(dir / "dbt_project.yml", error)) dir = *env_.dbt_project;
    WorkspaceOptions& w = out.workspace;
    w.project_dir = fs::absolute(dir).lexically_normal();
    out.project_root = w.project_dir;
    if (options_.profiles_dir) w.profiles_dir = fs::absolute(env_.working_directory / *options_.profiles_dir);
    w.profile = options_.profile;
    w.target = options_.target;
    w.threads = options_.threads;
    if (options_.target_path) w.target_path = fs::path(*options_.target_path);
    w.quern = env_.quern;
    w.clock = &clock_;
    w.console = [this](std::string_view line) { console_.Line(std::string(line)); };
    Invocation& i = w.invocation;
    i.id = RandomUuid();
    i.which = options_.command == "ls" ? "list" : options_.command;
    i.started = clock_.Now();
    i.full_refresh = options_.full_refresh;
    i.store_failures = options_.store_failures;
    i.vars = options_.vars;
    i.select = options_.select;
    i.exclude = options_.exclude;
    i.args = {{"which", i.which},
              {"select", options_.select},
              {"exclude", options_.exclude},
              {"vars", options_.vars},
              {"full_refresh", options_.full_refresh},
              {"store_failures", options_.store_failures},
              {"fail_fast", options_.fail_fast},
              {"project_dir", w.project_dir.string()},
              {"indirect_selection", options_.indirect}};
    out.which = i.which;
    out.store_failures = options_.store_failures;
    out.memory_limit = env_.memory_limit;
    return out;
  }

  /// The nearest folder upwards that holds a dbt_project.yml, as dbt does.
  fs::path FindProject() const {
    std::error_code ec;
    for (fs::path dir = env_.working_directory; !dir.empty(); dir = dir.parent_path()) {
      if (fs::exists(dir / "dbt_project.yml", ec)) return dir;
      if (dir == dir.parent_path()) break;
    }
    return env_.working_directory;
  }

  bool Report(Diagnostics& diagnostics) {
    diagnostics.Sort();
    if (!options_.quiet) {
      for (const Error& warning : diagnostics.warnings())
        console_.Problem(console_.Paint("warning: ", "33") + MaskSecrets(warning.ToString()));
    }
    for (const Error& error : diagnostics.errors()) console_.Problem(MaskSecrets(error.ToString()));
    return diagnostics.ok();
  }

  int Could(const Error& error) {
    console_.Problem(MaskSecrets(error.ToString()));
    return 2;
  }

  Result<std::vector<bool>> Select(const schedule::NodeGraph& graph) {
    graph::SelectOptions select;
    select.indirect = QUERN_TRY(graph::ParseIndirectSelection(options_.indirect));
    for (graph::NodeIndex i = 0; i < graph.size() && select.root_package.empty(); ++i)
      select.root_package = graph.node(i).package;
    graph::Selection selection = QUERN_TRY(graph.SelectDeclared(options_.select, options_.exclude, select));
    for (const Error& warning : selection.warnings)
      console_.Problem(console_.Paint("warning: ", "33") + warning.ToString());
    std::set<std::string> kinds = Kinds(options_.command);
    if (!options_.resource_types.empty()) {
      std::set<std::string> wanted;
      for (const std::string& type : options_.resource_types) {
        std::string kind = type == "data_test" ? "test" : type;
        if (kind == "all" || kind == "default")
          wanted = kinds;
        else
          wanted.insert(kind);
      }
      std::set<std::string> both;
      std::set_intersection(kinds.begin(), kinds.end(), wanted.begin(), wanted.end(),
                            std::inserter(both, both.begin()));
      kinds = both;
    }
    for (const std::string& type : options_.exclude_resource_types) kinds.erase(type == "data_test" ? "test" : type);
    std::vector<bool> out(static_cast<size_t>(graph.size()));
    for (graph::NodeIndex i = 0; i < graph.size(); ++i) {
      out[static_cast<size_t>(i)] = selection.nodes[static_cast<size_t>(i)] && kinds.count(graph.node(i).kind);
    }
    return out;
  }

  int Parse(const Workspace& workspace) {
    Result<void> written = WriteArtifact(workspace.target_path() / "manifest.json", ManifestJson(workspace, {}).dump());
    if (!written) return Could(written.error());
    console_.Line("Found " + CountsLine(workspace.manifest()));
    return 0;
  }

  int List(const Workspace& workspace, const schedule::NodeGraph& graph, const std::vector<bool>& selected) {
    std::vector<std::string> lines;
    for (graph::NodeIndex i = 0; i < graph.size(); ++i) {
      if (!selected[static_cast<size_t>(i)]) continue;
      const ManifestNode* node = workspace.manifest().Find(graph.node(i).id);
      if (!node) continue;
      if (options_.output == "name") {
        lines.push_back(node->type == ResourceType::kSource ? node->source_name + "." + node->name : node->name);
      } else if (options_.output == "path") {
        lines.push_back(node->original_file_path);
      } else if (options_.output == "json") {
        Json all = NodeJson(*node);
        std::vector<std::string> keys = options_.output_keys;
        if (keys.empty())
          keys = {"alias",  "name",          "package_name", "depends_on",         "tags",
                  "config", "resource_type", "source_name",  "original_file_path", "unique_id"};
        Json out = Json::object();
        for (const std::string& key : keys) {
          const Json* value = &all;
          for (const std::string& part : Split(key, '.')) {
            value = value && value->is_object() && value->contains(part) ? &value->at(part) : nullptr;
          }
          if (value && (key.find('.') == std::string::npos || !value->is_null())) out[key] = *value;
        }
        lines.push_back(out.dump());
      } else {
        lines.push_back(SelectorOf(*node));
      }
    }
    std::sort(lines.begin(), lines.end());
    for (const std::string& line : lines) console_.Plain(line);
    if (lines.empty()) console_.Problem("no nodes are selected");
    Result<void> written = WriteArtifact(workspace.target_path() / "manifest.json", ManifestJson(workspace, {}).dump());
    if (!written) return Could(written.error());
    return 0;
  }

  int Execute(const Workspace& workspace, const schedule::NodeGraph& graph, const std::vector<bool>& selected) {
    bool compiling = options_.command == "compile";
    int threads = std::max(1, workspace.target().threads);
    if (workspace.target().threads == 0) threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    console_.Line(std::string("Running with quern (dbt ") + kDbtVersion + " semantics)");
    console_.Line("Found " + CountsLine(workspace.manifest()));
    console_.Line("");
    if (std::none_of(selected.begin(), selected.end(), [](bool b) { return b; })) {
      console_.Line("Nothing to do: no nodes are selected");
      return 0;
    }
    console_.Line("Concurrency: " + std::to_string(threads) + " threads (target='" + workspace.target().name + "')");
    console_.Line("");
    schedule::RunContext run;
    Timestamp now = clock_.Now();
    run.schedule = "manual";
    run.dag_run = "manual/" + FormatUtc(now);
    run.logical_date = now;
    run.interval = {now, now};
    run.full_refresh = options_.full_refresh;
    run.vars = options_.vars;
    run.target = workspace.target().name;
    run.invocation_id = workspace.invocation().id;
    run.clock = &clock_;
    schedule::Workload work;
    work.graph = &graph;
    work.selected = selected;
    work.select = options_.select;
    work.exclude = options_.exclude;
    Progress progress(console_, workspace, compiling);
    schedule::RunnerOptions runner;
    runner.threads = threads;
    runner.fail_fast = options_.fail_fast;
    runner.cancellation = env_.cancellation;
    runner.observer = &progress;
    Result<schedule::RunReport> report = schedule::Run(work, run, runner);
    if (!report) return Could(report.error());
    double seconds = static_cast<double>(MicrosSinceEpoch(report->ended) - MicrosSinceEpoch(report->started)) / 1e6;
    auto count = [&](const char* state) { return progress.counts.count(state) ? progress.counts[state] : 0; };
    if (!progress.failures.empty()) {
      console_.Line("");
      console_.Line(console_.Paint("Completed with " + std::to_string(progress.failures.size()) +
                                       (progress.failures.size() == 1 ? " error:" : " errors:"),
                                   "31"));
      for (const Error& error : progress.failures) console_.Problem(MaskSecrets(error.ToString()));
    }
    console_.Line("");
    console_.Line(fmt::format("Finished in {:.2f}s.", seconds));
    if (compiling) {
      console_.Line(
          "Compiled " + std::to_string(count("success")) + (count("success") == 1 ? " node to " : " nodes to ") +
          (workspace.target_path() / "compiled").lexically_relative(workspace.options().project_dir).string());
      ShowCompiled(workspace, *report);
    }
    int total = 0;
    for (const auto& [state, n] : progress.counts) total += n;
    console_.Line(fmt::format("Done. PASS={} WARN={} ERROR={} SKIP={} NO-OP={} TOTAL={}", count("success"),
                              count("warned"), count("failed"), count("skipped") + count("cancelled"), count("no_op"),
                              total));
    if (report->error) {
      console_.Problem(MaskSecrets(report->error->ToString()));
      if (count("failed") == 0) return 1;
    }
    if (report->state == "cancelled" || env_.cancellation.cancelled()) return 3;
    if (count("failed") || report->state == "failed" || (options_.warn_error && count("warned"))) return 1;
    return 0;
  }

  /// The SQL of nodes that were selected by their names, as dbt shows it.
  void ShowCompiled(const Workspace& workspace, const schedule::RunReport& report) {
    for (const schedule::FinishedTask& task : report.tasks) {
      const ManifestNode* node = workspace.manifest().Find(task.node->id);
      if (!node || task.state != "success" || options_.quiet) continue;
      if (std::find(options_.select.begin(), options_.select.end(), node->name) == options_.select.end()) continue;
      Result<std::string> code =
          ReadTextFile(workspace.target_path() / "compiled" / NodeFilePath(*node), node->original_file_path);
      if (!code) continue;
      console_.Line("Compiled node '" + node->name + "' is:");
      console_.Plain(MaskSecrets(*code));
    }
  }

  CommandOptions options_;
  const CommandEnvironment& env_;
  const Clock& clock_;
  Console console_;
};

}  // namespace

int RunCommand(const std::vector<std::string>& args, const CommandEnvironment& environment) {
  Result<CommandOptions> options = ParseCommandLine(args);
  if (!options) {
    *environment.err << options.error().ToString() << "\n";
    return 2;
  }
  if (options->command.empty() || options->command == "help") {
    (options->command.empty() ? *environment.err : *environment.out) << CommandHelp();
    return options->command.empty() ? 2 : 0;
  }
  return Command(*std::move(options), environment).Run();
}

}  // namespace quern::dbt
