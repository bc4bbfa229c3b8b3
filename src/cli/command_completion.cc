#include <set>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/invocation.h"

namespace quern::cli {
namespace {

constexpr const char* kBash = R"bash(_quern() {
  local current="${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=($(compgen -W "$(quern complete-words "${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)" -- "$current"))
  [[ ${#COMPREPLY[@]} -eq 0 ]] && COMPREPLY=($(compgen -f -- "$current"))
}
complete -F _quern quern
)bash";

constexpr const char* kZsh = R"zsh(#compdef quern
_quern() {
  local -a candidates
  candidates=(${(f)"$(quern complete-words "${words[@]:1:$((CURRENT-2))}" 2>/dev/null)"})
  (( ${#candidates} )) && compadd -a candidates || _files
}
compdef _quern quern
)zsh";

// What may follow the words typed so far.
std::set<std::string> Candidates(const std::vector<std::string>& words) {
  std::set<std::string> out;
  if (words.empty()) {
    for (const auto& command : Commands()) {
      if (!command.hidden) out.insert(Split(command.name, ' ')[0]);
    }
    return out;
  }
  for (const auto& command : Commands()) {
    auto parts = Split(command.name, ' ');
    if (parts[0] != words[0]) continue;
    if (parts.size() == 2 && words.size() == 1) out.insert(parts[1]);
    if (parts.size() == 2 && (words.size() < 2 || parts[1] != words[1])) continue;
    for (const auto& option : command.options) {
      auto names = Split(option.names, ',');
      bool asked = std::find(names.begin(), names.end(), words.back()) != names.end();
      if (asked && option.arity != Arity::kFlag) return {option.choices.begin(), option.choices.end()};
      out.insert(names.back());
    }
  }
  return out;
}

}  // namespace

int RunCompletion(Invocation& invocation) {
  auto shell = *invocation.args.Positional("SHELL");
  if (shell == "bash" || shell == "zsh") {
    invocation.terminal.OutRaw(shell == "bash" ? kBash : kZsh);
    return kDone;
  }
  return invocation.Failed(Error(ErrorCode::kUsage, fmt::format("there is no completion for '{}'", shell))
                               .Hint("there is one for bash and for zsh"));
}

int RunCompleteWords(Invocation& invocation) {
  for (const auto& candidate : Candidates(invocation.words)) invocation.terminal.Out(candidate);
  return kDone;
}

}  // namespace quern::cli
