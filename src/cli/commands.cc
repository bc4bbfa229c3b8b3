#include "cli/commands.h"

// One table of all commands. `quern help --markdown` writes docs/reference/commands.md from it.

namespace quern::cli {
namespace {

using Options = std::vector<OptionSpec>;

// Groups of options that several commands share.
const Options kGeneral = {
    {"-q,--quiet", Arity::kFlag, "", "print results and errors only", {}},
    {"--no-color", Arity::kFlag, "", "no colours (NO_COLOR does the same)", {}},
    {"-h,--help", Arity::kFlag, "", "what this command does and takes", {}},
};

const Options kJsonOutput = {
    {"--output",
     Arity::kOne,
     "FORM",
     "text for people, json for programs: one object on standard output",
     {"text", "json"}},
};

Options operator+(Options a, const Options& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const Options kProject = {
    {"--project-dir", Arity::kOne, "DIR", "folder of quern.yml; default: the nearest one from here upwards", {}},
    {"-t,--target", Arity::kOne, "NAME", "target of quern.yml; default: its default_target", {}},
};

const Options kProfiles = {
    {"--profiles-dir", Arity::kOne, "DIR", "folder of dbt's profiles.yml; default: the dbt project, then ~/.dbt", {}},
    {"--vars", Arity::kOne, "YAML", "values for var(), as '{key: value}'; they win over those of quern.yml", {}},
};

const Options kSelection = {
    {"-s,--select",
     Arity::kMany,
     "SELECTOR",
     "nodes to take, in dbt's selection syntax: name, tag:x, path:x, +upstream, downstream+, a,b",
     {}},
    {"--exclude", Arity::kMany, "SELECTOR", "nodes to leave out of them", {}},
};

const Options kExecution = {
    {"--threads", Arity::kOne, "N", "tasks at once; default: the target's, else the number of cores", {}},
    {"--fail-fast", Arity::kFlag, "", "stop at the first failure", {}},
    {"--full-refresh", Arity::kFlag, "", "build incremental models and loads anew from all there is", {}},
};

const Options kRerun = {
    {"--rerun",
     Arity::kFlag,
     "",
     "run finished intervals again: their effects are undone first, later ones are replayed",
     {}},
};

const Options kWarehouse = {
    {"--warehouse", Arity::kOne, "DIR", "a warehouse's folder, without any project", {}},
};

std::vector<CommandSpec> ProjectCommands() {
  std::vector<CommandSpec> out;
  out.push_back({.name = "init",
                 .summary = "Write a new project",
                 .about = "Writes the files of a template and says what to do next. Nothing is ever overwritten: a "
                          "folder that is not empty is refused.",
                 .positionals = {{"TEMPLATE",
                                  "shop (default): a small project with data, models and tests; empty: the bare frame",
                                  false, false},
                                 {"DIR", "where; default: ./shop, or this folder for empty", false, false}},
                 .options = kJsonOutput + kGeneral,
                 .examples = {{"quern init", "the shop, in ./shop"}, {"quern init empty my_project", "a bare project"}},
                 .run = RunInit});
  out.push_back({.name = "check",
                 .summary = "Check the whole project without running it",
                 .about = "Reads every file, joins the graph, checks schedules, references, types and, where it can be "
                          "known, SQL. Shows everything that is wrong at once, with file, line and column, and a hint. "
                          "Ends with 1 when there are errors.",
                 .options = kProject + kProfiles + kJsonOutput + kGeneral,
                 .run = RunCheck});
  out.push_back(
      {.name = "plan",
       .summary = "Say what a run would do, and why",
       .about = "Lists the nodes in the order in which they could run, why each is selected, and its rows and duration "
                "of the last time. Runs nothing.",
       .positionals = {{"SCHEDULE", "a schedule of quern.yml; default: the whole graph, outside schedules", false,
                        false}},
       .options = Options{{"--date", Arity::kOne, "DATE", "logical date; default: the latest complete interval", {}}} +
                  kSelection + kProject + kProfiles + Options{kExecution.back()} + kRerun + kJsonOutput + kGeneral,
       .examples = {{"quern plan daily", "what the latest complete day would run"},
                    {"quern plan -s +fct_orders", "fct_orders and all it comes from"}},
       .run = RunPlan});
  out.push_back(
      {.name = "run",
       .summary = "Run the graph once, for one interval",
       .about = "With a schedule: its selection over its latest complete interval, or the one that --date names. An "
                "interval that is finished is not run again without --rerun.\n"
                "Without a schedule: the selected nodes, now, under the name manual/<time>. What is upstream and not "
                "selected is read as it stands.\n"
                "Ctrl-C stops cleanly: nothing new is started, what runs is cancelled, and quern retry goes on.",
       .positionals = {{"SCHEDULE", "a schedule of quern.yml", false, false}},
       .options =
           Options{{"--date", Arity::kOne, "DATE", "logical date of the interval, in the schedule's time zone", {}}} +
           kSelection + kExecution + kRerun + kProject + kProfiles + kJsonOutput + kGeneral,
       .examples = {{"quern run daily", "the latest complete day"},
                    {"quern run daily --date 2026-01-04", "that day"},
                    {"quern run -s stg_orders+", "one model and what comes out of it"}},
       .run = RunRun});
  out.push_back(
      {.name = "backfill",
       .summary = "Run a schedule's past intervals, in order",
       .about = "Runs every complete interval whose logical date lies between --from and --to, both inclusive, one "
                "after the other. Finished ones are skipped. Stops at the first that fails.",
       .positionals = {{"SCHEDULE", "a schedule of quern.yml", true, false}},
       .options =
           Options{{"--from", Arity::kOne, "DATE", "first logical date; default: the schedule's start", {}},
                   {"--to",
                    Arity::kOne,
                    "DATE",
                    "last logical date, inclusive; default: the schedule's end, else the latest complete interval",
                    {}},
                   {"--verbose", Arity::kFlag, "", "a line for each node, not only for each interval", {}}} +
           kSelection + kExecution + kRerun + kProject + kProfiles + kJsonOutput + kGeneral,
       .examples = {{"quern backfill monthly --from 2013-01-01 --to 2013-12-31", "a year, month by month"}},
       .run = RunBackfill});
  out.push_back(
      {.name = "retry",
       .summary = "Go on with a run from where it failed",
       .about = "Runs what failed, was skipped, cancelled or interrupted; what is done stays done.",
       .positionals = {{"RUN", "the run's id, as quern runs shows it; default: the latest that did not succeed", false,
                        false}},
       .options = kExecution + kProject + kProfiles + kJsonOutput + kGeneral,
       .examples = {{"quern retry monthly/2013-05-01", "that run"}},
       .run = RunRetry});
  return out;
}

std::vector<CommandSpec> LookingCommands() {
  std::vector<CommandSpec> out;
  out.push_back({.name = "runs",
                 .summary = "List the runs, or show one",
                 .positionals = {{"RUN", "a run's id or latest: its tasks; a schedule's name: its runs", false, false}},
                 .options = Options{{"--state",
                                     Arity::kMany,
                                     "STATE",
                                     "only runs in these states",
                                     {"queued", "running", "success", "failed", "cancelled", "interrupted"}},
                                    {"--limit", Arity::kOne, "N", "newest N runs; 0: all; default 20", {}}} +
                            kProject + kJsonOutput + kGeneral,
                 .examples = {{"quern runs --state failed", "what went wrong"},
                              {"quern runs monthly/2013-05-01", "one run, task by task"}},
                 .run = RunRuns});
  out.push_back({.name = "logs",
                 .summary = "Show the logs of a run's tasks",
                 .positionals = {{"RUN", "a run's id; default: latest", false, false},
                                 {"TASK", "a node of it; default: all", false, false}},
                 .options = Options{{"-f,--follow", Arity::kFlag, "", "go on until the task ends", {}},
                                    {"--try", Arity::kOne, "N", "the log of that try; default: the newest", {}}} +
                            kProject + kJsonOutput + kGeneral,
                 .examples = {{"quern logs latest fct_orders", "what that model did"}},
                 .run = RunLogs});
  out.push_back(
      {.name = "ls",
       .summary = "List the nodes of the graph",
       .options = kSelection +
                  Options{{"--kind", Arity::kOne, "KIND", "only nodes of that kind: ingest, model, test, ...", {}},
                          {"--output",
                           Arity::kOne,
                           "FORM",
                           "text for people; name or path: one a line; json for programs",
                           {"text", "name", "path", "json"}}} +
                  kProject + kProfiles + kGeneral,
       .examples = {{"quern ls -s tag:daily --output name", "ids of what is tagged daily"}},
       .run = RunLs});
  out.push_back({.name = "lineage",
                 .summary = "Draw what a node comes from and what comes out of it",
                 .positionals = {{"NODE", "a node's id, its name, or the table that it writes", true, false}},
                 .options = Options{{"--up", Arity::kFlag, "", "only what it comes from", {}},
                                    {"--down", Arity::kFlag, "", "only what comes out of it", {}},
                                    {"--depth", Arity::kOne, "N", "at most N steps", {}},
                                    {"--tests", Arity::kFlag, "", "tests too", {}}} +
                            kProject + kProfiles + kJsonOutput + kGeneral,
                 .run = RunLineage});
  out.push_back(
      {.name = "sql",
       .summary = "Query the warehouse, or open a SQL shell",
       .about = "Runs the query given, the file of --file, or what standard input holds; on a terminal without any of "
                "them it opens a shell (.help lists its commands). Tables are schema.table; earlier versions are read "
                "with AT (VERSION => 3) and AT (TIMESTAMP => '2026-01-04').",
       .positionals = {{"QUERY", "one or more SQL statements; - reads standard input", false, false}},
       .options =
           Options{
               {"-f,--file", Arity::kOne, "FILE", "read the SQL from a file", {}},
               {"--output", Arity::kOne, "FORM", "how to write the last result", {"table", "csv", "json", "parquet"}},
               {"-o,--out", Arity::kOne, "FILE", "write the last result there", {}},
               {"--limit", Arity::kOne, "N", "rows that a table shows; 0: all; default 200 on a terminal", {}}} +
           kWarehouse + kProject + kGeneral,
       .examples = {{"quern sql \"from marts.fct_orders limit 5\"", "a look at a table"},
                    {"quern sql -f report.sql --output csv -o report.csv", "a query of a file, into a file"}},
       .run = RunSql});
  return out;
}

std::vector<CommandSpec> TableCommands() {
  PositionalSpec table = {"TABLE", "schema.table", true, false};
  Options shared = kWarehouse + kProject + kJsonOutput + kGeneral;
  std::vector<CommandSpec> out;
  out.push_back({.name = "table list",
                 .summary = "List the tables and views of the warehouse",
                 .positionals = {{"PATTERN", "only names that match, with * and ?", false, false}},
                 .options = shared,
                 .run = RunTableList});
  out.push_back({.name = "table show",
                 .summary = "Describe a table: columns, size, version, properties",
                 .positionals = {table},
                 .options = Options{{"--version", Arity::kOne, "N", "as it was at that version", {}}} + shared,
                 .run = RunTableShow});
  out.push_back(
      {.name = "table history",
       .summary = "List a table's versions: when, by which run, node and code",
       .positionals = {table},
       .options = Options{{"--limit", Arity::kOne, "N", "newest N versions; 0: all; default 20", {}}} + shared,
       .run = RunTableHistory});
  out.push_back(
      {.name = "table diff",
       .summary = "Compare two versions of a table",
       .about = "Counts rows added and removed (with --key also changed ones), shows some of them, and names changes "
                "of the schema. Columns that Quern adds (_quern_...) are left out unless --all-columns.",
       .positionals = {table},
       .options = Options{{"--from", Arity::kOne, "N", "older version; default: the one before --to", {}},
                          {"--to", Arity::kOne, "N", "newer version; default: the latest", {}},
                          {"--key", Arity::kMany, "COLUMN", "columns that tell a row from others", {}},
                          {"--all-columns", Arity::kFlag, "", "compare Quern's own columns too", {}},
                          {"--limit", Arity::kOne, "N", "rows to show; default 10", {}}} +
                  shared,
       .examples = {{"quern table diff marts.fct_orders --from 3 --key order_id", "what happened since version 3"}},
       .run = RunTableDiff});
  out.push_back({.name = "table restore",
                 .summary = "Make a table what it was, by one new version",
                 .positionals = {table},
                 .options = Options{{"--version", Arity::kOne, "N", "to that version", {}},
                                    {"--at", Arity::kOne, "TIME", "to the version of that moment (UTC)", {}}} +
                            shared,
                 .run = RunTableRestore});
  return out;
}

std::vector<CommandSpec> ModelCommands() {
  const PositionalSpec model = {"MODEL", "a model of ml/*.yml", true, false};
  const Options shared = kProject + kJsonOutput + kGeneral;
  const Options reason = {{"--reason", Arity::kOne, "TEXT", "why; kept with the decision", {}}};
  std::vector<CommandSpec> out;
  out.push_back({.name = "model list",
                 .summary = "List the models, their champions and how good these are",
                 .options = shared,
                 .run = RunModelList});
  out.push_back({.name = "model show",
                 .summary = "Show a model's versions: aliases, run, training, reason",
                 .positionals = {model},
                 .options = shared,
                 .run = RunModelShow});
  out.push_back({.name = "model compare",
                 .summary = "Compare runs of a model side by side: metrics and parameters",
                 .about = "Without runs: the candidates of the newest training.",
                 .positionals = {model, {"RUN", "run id or its beginning, version, alias", false, true}},
                 .options = shared,
                 .examples = {{"quern model compare late_arrival champion previous", "this one and the one before"}},
                 .run = RunModelCompare});
  out.push_back({.name = "model best",
                 .summary = "Find the best run of a model by a metric",
                 .positionals = {model},
                 .options = Options{{"--metric", Arity::kOne, "NAME", "default: the one that promotion goes by", {}},
                                    {"--run", Arity::kOne, "DAG_RUN", "only trainings of that DAG run", {}}} +
                            shared,
                 .run = RunModelBest});
  out.push_back({.name = "model promote",
                 .summary = "Make a run's model, or a version, the champion",
                 .about = "The former champion becomes `previous`. The decision is kept in the model's table of "
                          "decisions, with who made it.",
                 .positionals = {model, {"RUN", "run id or its beginning, version, alias", true, false}},
                 .options = reason + shared,
                 .run = RunModelPromote});
  out.push_back({.name = "model rollback",
                 .summary = "Make the previous champion the champion again",
                 .positionals = {model},
                 .options = reason + shared,
                 .run = RunModelRollback});
  out.push_back(
      {.name = "model reproduce",
       .summary = "Train a run again from its recorded data, and compare",
       .about =
           "Compares the data's digest, the query, the parameters, the library, the metrics and the model's bytes, "
           "and says which differ. Ends with 1 when one does. A training's parent run stands for all its candidates.",
       .positionals = {{"RUN", "run id or its beginning; version or alias with --model", true, false}},
       .options = Options{{"--model", Arity::kOne, "MODEL", "whose version or alias RUN is", {}}} + shared,
       .examples = {{"quern model reproduce champion", "when the project has one model"}},
       .run = RunModelReproduce});
  out.push_back({.name = "model verify",
                 .summary = "Check that the training set of every version is still there",
                 .positionals = {{"MODEL", "only this model", false, false}},
                 .options = shared,
                 .run = RunModelVerify});
  return out;
}

std::vector<CommandSpec> OtherCommands() {
  std::vector<CommandSpec> out;
  out.push_back(
      {.name = "dbt",
       .summary = "Run dbt's own commands on a dbt project",
       .about =
           "run, build, test, seed, snapshot, compile, ls and parse with dbt's own options and exit codes (quern dbt "
           "--help); writes target/manifest.json and run_results.json. Needs no quern.yml: a dbt project and its "
           "profile are enough. Inside a Quern project a profile that is not found means the project's own warehouse.",
       .examples = {{"quern dbt build", "in a dbt project's folder"},
                    {"quern dbt ls -s tag:daily --project-dir dbt", "list nodes"}},
       .run = RunDbt,
       .passes_through = true});
  out.push_back(
      {.name = "up",
       .summary = "Keep the schedules running until stopped",
       .about = "Runs each schedule's intervals as they become complete, in order; catches up where the schedule says "
                "so. SIGTERM and Ctrl-C stop it cleanly; the next start goes on with what was under way. Serves "
                "/health and /metrics (Prometheus) on loopback.",
       .options = Options{{"--port",
                           Arity::kOne,
                           "N",
                           "of /health and /metrics; 0: any free one; default 8470, or a free one when that is taken",
                           {}},
                          {"--address", Arity::kOne, "ADDRESS", "to listen on; default 127.0.0.1", {}},
                          {"--allow-remote",
                           Arity::kFlag,
                           "",
                           "let --address be one beyond this machine: anyone who reaches it can read the status",
                           {}},
                          {"--no-http", Arity::kFlag, "", "serve nothing", {}}} +
                  kExecution + kProject + kProfiles + kGeneral,
       .run = RunUp});
  out.push_back(
      {.name = "doctor",
       .summary = "Look at the machine and the project, and say how to mend what is wrong",
       .about = "Looks at processor, memory, disk, time zones, python3, git, the right to write, the state database, "
                "every table, interrupted runs, and checks the project. Ends with 1 when something is wrong.",
       .options = kProject + kProfiles + kJsonOutput + kGeneral,
       .run = RunDoctor});
  out.push_back({.name = "completion",
                 .summary = "Print a script that completes commands and options in a shell",
                 .positionals = {{"SHELL", "bash or zsh", true, false}},
                 .options = kGeneral,
                 .examples = {{"source <(quern completion bash)", "in ~/.bashrc"}},
                 .run = RunCompletion});
  out.push_back({.name = "complete-words",
                 .summary = "What may follow some words; for the completion scripts",
                 .run = RunCompleteWords,
                 .passes_through = true,
                 .hidden = true});
  out.push_back({.name = "version",
                 .summary = "Print the program's version",
                 .options = kJsonOutput + kGeneral,
                 .run = RunVersion});
  out.push_back(
      {.name = "help",
       .summary = "Explain the program or one command",
       .positionals = {{"COMMAND", "the command to explain", false, true}},
       .options = Options{{"--markdown", Arity::kFlag, "", "all commands as the reference page", {}}} + kGeneral,
       .run = RunHelp});
  return out;
}

}  // namespace

const std::vector<CommandSpec>& Commands() {
  static const std::vector<CommandSpec> commands = [] {
    std::vector<CommandSpec> all;
    for (auto make : {ProjectCommands, LookingCommands, TableCommands, ModelCommands, OtherCommands}) {
      for (auto& command : make()) all.push_back(std::move(command));
    }
    return all;
  }();
  return commands;
}

}  // namespace quern::cli
