#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <iterator>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/result_output.h"
#include "cli/sql_shell.h"
#include "cli/sql_text.h"
#include "cli/workspace.h"
#include "io/files.h"

namespace quern::cli {
namespace {

// Where results go: standard output, or -o FILE.
class Destination {
 public:
  static Result<Destination> Open(const Invocation& invocation) {
    Destination out;
    out.terminal_ = &invocation.terminal;
    if (auto path = invocation.args.Get("out")) {
      out.file_ = {std::fopen(path->c_str(), "wb"), &std::fclose};
      if (!out.file_) return Fail(io::SystemError("opening", *path, errno));
    }
    return out;
  }
  Write writer() {
    return [this](std::string_view text) {
      if (!file_) {
        terminal_->OutRaw(text);
        return !terminal_->nobody_reads();
      }
      return std::fwrite(text.data(), 1, text.size(), file_.get()) == text.size();
    };
  }
  Result<void> Close(const std::string& path) {
    if (!file_) return {};
    bool bad = std::ferror(file_.get()) != 0;
    int error = std::fclose(file_.release());
    if (bad || error != 0) return Fail(io::SystemError("writing", path, errno));
    return {};
  }

 private:
  const Terminal* terminal_ = nullptr;
  std::unique_ptr<FILE, int (*)(FILE*)> file_{nullptr, &std::fclose};
};

std::string ReadAll(std::istream& in) {
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Request {
  std::string sql;
  std::string file;  ///< for places in errors; "" when the text was typed
};

Result<std::optional<Request>> RequestOf(const Invocation& invocation) {
  auto query = invocation.args.Positional("QUERY");
  auto file = invocation.args.Get("file");
  if (query && file) return Fail(Error(ErrorCode::kUsage, "give a query or --file, not both"));
  if (query && *query != "-") return Request{*query, ""};
  if (file && *file != "-") return Request{QUERN_TRY(io::ReadFile(*file)), *file};
  if (query || file || isatty(STDIN_FILENO) != 1) return Request{ReadAll(std::cin), ""};
  return std::nullopt;
}

class Runner {
 public:
  Runner(Invocation& invocation, warehouse::Session& session, int64_t limit)
      : invocation_(invocation), session_(session), form_(invocation.args.GetOr("output", "table")), limit_(limit) {}

  /// All statements; the results of all of them for people, that of the last one otherwise.
  Result<void> Run(const Request& request) {
    auto statements = SplitStatements(request.sql);
    if (statements.empty()) return Fail(Error(ErrorCode::kUsage, "there is no SQL statement"));
    for (size_t i = 0; i < statements.size(); ++i) {
      bool last = i + 1 == statements.size();
      auto done = form_ == "table" && !invocation_.args.Flag("out") ? Show(statements[i].text)
                  : last                                            ? WriteOut(statements[i].text)
                                                                    : Quietly(statements[i].text);
      if (done) continue;
      return Fail(Relocated(done.error(), request.sql, statements[i], request.file));
    }
    return {};
  }

 private:
  Result<void> Quietly(const std::string& sql) {
    QUERN_TRY(session_.Execute(sql));
    return {};
  }
  Result<void> Show(const std::string& sql) {
    auto begin = std::chrono::steady_clock::now();
    auto result = QUERN_TRY(session_.Execute(sql, {.params = {}, .max_rows = limit_ < 0 ? -1 : limit_ + 1}));
    auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    ShowResult(result, limit_, invocation_.terminal, seconds);
    return {};
  }
  Result<void> WriteOut(const std::string& sql) {
    auto path = invocation_.args.GetOr("out", "");
    if (form_ == "parquet") {
      if (path.empty())
        return Fail(Error(ErrorCode::kUsage, "--output parquet needs a file").Hint("name it with -o FILE"));
      QUERN_TRY(session_.Execute(fmt::format("COPY ({}) TO {} (FORMAT parquet)", sql, QuoteLiteral(path))));
      return {};
    }
    auto destination = QUERN_TRY(Destination::Open(invocation_));
    if (form_ == "json") {
      JsonSink sink(destination.writer());
      QUERN_TRY(session_.Stream(sql, sink));
      sink.End();
    } else if (form_ == "csv") {
      auto sink = CsvSink(destination.writer());
      QUERN_TRY(session_.Stream(sql, *sink));
    } else {
      auto result = QUERN_TRY(session_.Execute(sql));
      destination.writer()(ResultTable(result, -1, invocation_.terminal) + "\n");
    }
    return destination.Close(path);
  }

  Invocation& invocation_;
  warehouse::Session& session_;
  std::string form_;
  int64_t limit_;
};

}  // namespace

int RunSql(Invocation& invocation) {
  auto limit = invocation.args.Int("limit", 0);
  if (!limit) return invocation.Failed(limit.error());
  // A terminal is not flooded; a pipe gets everything.
  int64_t rows = limit->value_or(invocation.terminal.out_is_terminal() ? 200 : 0);
  if (rows == 0) rows = -1;
  auto request = RequestOf(invocation);
  if (!request) return invocation.Failed(request.error());
  auto opened = OpenedWarehouse::Open(invocation);
  if (!opened) return invocation.Failed(opened.error());
  auto session = opened->get().NewSession();
  if (!session) return invocation.Failed(session.error());
  if (!*request) return RunShell(invocation, opened->get(), **session, rows);

  auto stop = invocation.cancellation.OnCancel([&] { (*session)->Interrupt(); });
  auto done = Runner(invocation, **session, rows).Run(**request);
  if (done) return kDone;
  if (done.error().code() == ErrorCode::kCancelled && invocation.terminal.nobody_reads()) return kDone;
  Error error = std::move(done).error();
  if (error.code() == ErrorCode::kTableNotFound && error.hint().empty())
    error = std::move(error).Hint("quern table list shows what is there");
  invocation.terminal.PrintError(error, (**request).sql);
  return ExitCodeOf(error);
}

}  // namespace quern::cli
