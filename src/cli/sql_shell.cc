#include "cli/sql_shell.h"

#include <histedit.h>

#include <chrono>
#include <clocale>
#include <cstdlib>
#include <filesystem>

#include "base/text.h"
#include "cli/result_output.h"
#include "cli/stop.h"
#include "cli/table_text.h"

namespace quern::cli {
namespace {

namespace fs = std::filesystem;

fs::path HistoryPath() {
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  if (state && *state) return fs::path(state) / "quern" / "sql_history";
  if (home && *home) return fs::path(home) / ".local" / "state" / "quern" / "sql_history";
  return {};
}

// Lines with editing and a history that outlives the shell.
class LineReader {
 public:
  LineReader() {
    std::setlocale(LC_CTYPE, "");
    edit_ = el_init("quern", stdin, stdout, stderr);
    history_ = history_init();
    HistEvent event{};
    history(history_, &event, H_SETSIZE, 2000);
    history(history_, &event, H_SETUNIQUE, 1);
    path_ = HistoryPath();
    if (!path_.empty()) history(history_, &event, H_LOAD, path_.c_str());
    el_set(edit_, EL_CLIENTDATA, this);
    el_set(edit_, EL_PROMPT, &LineReader::Prompt);
    el_set(edit_, EL_EDITOR, "emacs");
    el_set(edit_, EL_SIGNAL, 1);
    el_set(edit_, EL_HIST, history, history_);
    el_set(edit_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    el_source(edit_, nullptr);
  }
  ~LineReader() {
    HistEvent event{};
    if (!path_.empty()) {
      std::error_code ignored;
      fs::create_directories(path_.parent_path(), ignored);
      history(history_, &event, H_SAVE, path_.c_str());
    }
    history_end(history_);
    el_end(edit_);
  }
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  enum class Got { kLine, kInterrupted, kEnd };
  Got Read(bool more, std::string& line) {
    prompt_ = more ? "   ...> " : "quern> ";
    int count = 0;
    errno = 0;
    const char* text = el_gets(edit_, &count);
    if (!text || count <= 0) return errno == EINTR ? Got::kInterrupted : Got::kEnd;
    line.assign(text, static_cast<size_t>(count));
    return Got::kLine;
  }
  void Remember(const std::string& text) {
    HistEvent event{};
    history(history_, &event, H_ENTER, ReplaceAll(text, "\n", " ").c_str());
  }

 private:
  static char* Prompt(EditLine* edit) {
    LineReader* self = nullptr;
    el_get(edit, EL_CLIENTDATA, &self);
    return self->prompt_.data();
  }
  EditLine* edit_;
  History* history_;
  fs::path path_;
  std::string prompt_;
};

constexpr const char* kHelp =
    "A statement ends with ';' and may go over several lines. Ctrl-C drops it or stops what is running.\n"
    "  .tables [PATTERN]   tables and views\n"
    "  .schema TABLE       columns of a table\n"
    "  .help               this\n"
    "  .quit               leave (Ctrl-D too)\n";

class Shell {
 public:
  Shell(Invocation& invocation, warehouse::Warehouse& warehouse, warehouse::Session& session, int64_t limit)
      : terminal_(invocation.terminal), warehouse_(warehouse), session_(session), limit_(limit) {}

  void Loop(const Cancellation& cancellation) {
    LineReader reader;
    std::string pending;
    while (!cancellation.cancelled()) {
      std::string line;
      auto got = reader.Read(!pending.empty(), line);
      if (got == LineReader::Got::kInterrupted) {
        pending.clear();
        terminal_.Out("");
        continue;
      }
      if (got == LineReader::Got::kEnd) {
        terminal_.Out("");
        return;
      }
      auto trimmed = std::string(Trim(line));
      if (pending.empty() && trimmed.empty()) continue;
      if (pending.empty() && trimmed.front() == '.') {
        reader.Remember(trimmed);
        if (!Command(trimmed)) return;
        continue;
      }
      pending += line;
      if (WantsMore(pending)) continue;
      reader.Remember(std::string(Trim(pending)));
      for (const auto& statement : SplitStatements(pending)) {
        if (!Execute(pending, statement)) break;
      }
      pending.clear();
    }
  }

 private:
  bool Execute(const std::string& whole, const Statement& statement) {
    auto begin = std::chrono::steady_clock::now();
    auto result = session_.Execute(statement.text, {.params = {}, .max_rows = limit_ < 0 ? -1 : limit_ + 1});
    if (!result) {
      terminal_.PrintError(Relocated(result.error(), whole, statement, ""), whole);
      return false;
    }
    ShowResult(*result, limit_, terminal_,
               std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    return true;
  }

  // False to leave.
  bool Command(const std::string& line) {
    auto words = SplitWords(line);
    if (words[0] == ".quit" || words[0] == ".exit" || words[0] == ".q") return false;
    if (words[0] == ".help") {
      terminal_.OutRaw(kHelp);
    } else if (words[0] == ".tables") {
      Tables(words.size() > 1 ? words[1] : "*");
    } else if (words[0] == ".schema" && words.size() > 1) {
      Schema(words[1]);
    } else {
      auto hint = DidYouMean(words[0], {".tables", ".schema", ".quit", ".help"});
      terminal_.PrintError(Error(ErrorCode::kUsage, fmt::format("no such command: {}", line))
                               .Hint(hint.empty() ? ".help lists them" : hint));
    }
    return true;
  }
  void Tables(const std::string& pattern) {
    auto listed = warehouse_.List();
    if (!listed) return terminal_.PrintError(listed.error());
    for (const auto& entry : *listed) {
      auto name = entry.name.ToString();
      if (!GlobMatch(pattern, name) && !GlobMatch(pattern, entry.name.table)) continue;
      terminal_.Out(name + (entry.kind == warehouse::Warehouse::Kind::kView ? "  (view)" : ""));
    }
  }
  void Schema(const std::string& name) {
    auto parts = Split(name, '.');
    std::vector<std::string> quoted;
    for (const auto& part : parts) quoted.push_back(QuoteIdentifier(part));
    auto columns = session_.Describe("FROM " + Join(quoted, "."));
    if (!columns) return terminal_.PrintError(columns.error());
    TextTable table{.columns = {{"column"}, {"type"}}, .rows = {}};
    for (const auto& column : *columns) table.Add({column.name, column.type});
    terminal_.OutRaw(DrawPlain(table, terminal_.width(), terminal_));
  }

  const Terminal& terminal_;
  warehouse::Warehouse& warehouse_;
  warehouse::Session& session_;
  int64_t limit_;
};

}  // namespace

void ShowResult(const engine::QueryResult& result, int64_t limit, const Terminal& terminal, double seconds) {
  auto time =
      terminal.out_is_terminal() ? terminal.Paint(" in " + FormatDuration(seconds), Colour::kGrey) : std::string();
  if (result.rows_changed >= 0) {
    terminal.Out(fmt::format("{} {} changed{}", FormatCount(result.rows_changed),
                             result.rows_changed == 1 ? "row" : "rows", time));
  } else if (result.columns.empty()) {
    terminal.Out("done" + time);
  } else {
    terminal.Out(ResultTable(result, limit, terminal) + time);
  }
}

Error Relocated(const Error& error, const std::string& whole, const Statement& statement, const std::string& file) {
  if (!error.pos().file.empty() || error.pos().line <= 0) return error;
  auto start = LineColumnAt(whole, statement.offset);
  SourcePos pos = error.pos();
  if (pos.line == 1 && pos.column > 0) pos.column += start.column - 1;
  pos.line += start.line - 1;
  pos.file = file;
  Error out = Error(error.code(), error.message()).At(pos).Hint(error.hint());
  for (const auto& [key, value] : error.fields()) out = std::move(out).With(key, value);
  for (const auto& frame : error.trace()) out = std::move(out).Trace(frame.what, frame.pos);
  if (error.cause()) out = std::move(out).Because(*error.cause());
  return out;
}

int RunShell(Invocation& invocation, warehouse::Warehouse& warehouse, warehouse::Session& session, int64_t limit) {
  auto& terminal = invocation.terminal;
  terminal.Say(terminal.Paint(
      fmt::format("{}  (.help lists what there is beside SQL)", warehouse.options().root.string()), Colour::kGrey));
  InterruptHandler on_interrupt([&] { session.Interrupt(); });
  auto stop = invocation.cancellation.OnCancel([&] { session.Interrupt(); });
  Shell(invocation, warehouse, session, limit).Loop(invocation.cancellation);
  return kDone;
}

}  // namespace quern::cli
