#include <ostream>
#include <streambuf>

#include "cli/commands.h"
#include "cli/invocation.h"
#include "dbt/command.h"
#include "project/config.h"

namespace quern::cli {
namespace {

// A stream whose lines go through the terminal, so that secrets are masked.
class LineBuffer : public std::streambuf {
 public:
  LineBuffer(const Terminal& terminal, bool error) : terminal_(terminal), error_(error) {}
  ~LineBuffer() override { Pass(true); }

 protected:
  int_type overflow(int_type c) override {
    if (c != traits_type::eof()) pending_ += static_cast<char>(c);
    if (c == '\n') Pass(false);
    return traits_type::not_eof(c);
  }
  std::streamsize xsputn(const char* text, std::streamsize size) override {
    pending_.append(text, static_cast<size_t>(size));
    Pass(false);
    return size;
  }
  int sync() override {
    Pass(false);
    if (!error_) std::fflush(stdout);
    return 0;
  }

 private:
  // Whole lines only: a secret must not be cut in two.
  void Pass(bool all) {
    size_t end = all ? pending_.size() : pending_.rfind('\n') + 1;
    if (end == 0) return;
    std::string_view text = std::string_view(pending_).substr(0, end);
    if (error_) {
      if (text.ends_with('\n')) text.remove_suffix(1);
      terminal_.Err(text);
    } else {
      terminal_.OutRaw(text);
    }
    pending_.erase(0, end);
  }
  const Terminal& terminal_;
  bool error_;
  std::string pending_;
};

// The value of an option among words that belong to dbt: "--project-dir x" or "--project-dir=x".
std::string ValueOf(const std::vector<std::string>& words, const std::string& option) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == option && i + 1 < words.size()) return words[i + 1];
    if (words[i].starts_with(option + "=")) return words[i].substr(option.size() + 1);
  }
  return "";
}

// The target of the Quern project around, and where its dbt project lies; nothing outside of one. What is wrong in
// quern.yml is for `quern check` to say: dbt's commands need no quern.yml.
void UseProjectAround(const std::vector<std::string>& words, dbt::CommandEnvironment& environment) {
  std::error_code error;
  auto from = std::filesystem::weakly_canonical(environment.working_directory / ValueOf(words, "--project-dir"), error);
  for (auto folder = from; !folder.empty(); folder = folder.parent_path()) {
    if (std::filesystem::exists(folder / "quern.yml", error)) {
      Diagnostics ignored;
      auto config = project::LoadConfig(folder, ignored);
      if (!config) return;
      environment.dbt_project = config->dbt_project;
      auto name = ValueOf(words, "--target");
      if (name.empty()) name = ValueOf(words, "-t");
      auto target = config->FindTarget(name);
      if (!target) target = config->FindTarget("");  // a name of the profile, then: if not, loading it says so
      if (!target) return;
      environment.quern =
          dbt::QuernTarget{.warehouse = target->warehouse, .name = target->name, .threads = target->threads};
      environment.memory_limit = target->memory_limit;
      return;
    }
    if (folder == folder.parent_path()) return;
  }
}

}  // namespace

int RunDbt(Invocation& invocation) {
  LineBuffer out_buffer(invocation.terminal, false), err_buffer(invocation.terminal, true);
  std::ostream out(&out_buffer), err(&err_buffer);
  dbt::CommandEnvironment environment;
  environment.working_directory = std::filesystem::current_path();
  environment.clock = invocation.clock.get();
  environment.out = &out;
  environment.err = &err;
  environment.colours = invocation.terminal.shows_colours();
  environment.cancellation = invocation.cancellation;
  UseProjectAround(invocation.words, environment);
  return dbt::RunCommand(invocation.words, environment);
}

}  // namespace quern::cli
