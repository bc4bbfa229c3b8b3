#include "tracking/names.h"

#include "base/text.h"
#include "tracking/types.h"

namespace quern::tracking {
namespace {

bool IsWordCharacter(unsigned char c) {
  return std::isalnum(c) != 0 || c == '_' || c >= 0x80;
}

/// Whether it is the shortest way to write a relative path below the root.
bool IsUniquePath(std::string_view name) {
  if (name.empty()) return false;
  for (const auto& part : Split(name, '/')) {
    if (part.empty() || part == "." || part == "..") return false;
  }
  return true;
}

Error Invalid(std::string message) {
  return Error(ErrorCode::kInvalidArgument, std::move(message));
}

}  // namespace

std::string_view Name(RunStatus status) {
  switch (status) {
    case RunStatus::kRunning:
      return "RUNNING";
    case RunStatus::kScheduled:
      return "SCHEDULED";
    case RunStatus::kFinished:
      return "FINISHED";
    case RunStatus::kFailed:
      return "FAILED";
    case RunStatus::kKilled:
      return "KILLED";
  }
  return "";
}

std::string ModelId(std::string_view run_id, std::string_view model_name) {
  return "m-" + Sha256Hex(fmt::format("quern model\n{}\n{}", run_id, model_name)).substr(0, 32);
}

Result<void> CheckRunId(std::string_view run_id) {
  const bool hex = std::all_of(run_id.begin(), run_id.end(),
                               [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (run_id.size() == 32 && hex) return {};
  return Fail(Invalid(fmt::format("'{}' is no run id: it must be 32 lower-case hexadecimal digits", run_id)));
}

Result<void> CheckKey(std::string_view what, std::string_view key) {
  const bool allowed = std::all_of(key.begin(), key.end(), [](unsigned char c) {
    return IsWordCharacter(c) || std::string_view("/.-: ").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (!allowed || !IsValidUtf8(key)) {
    return Fail(Invalid(fmt::format("'{}' cannot be the name of a {} in MLflow", key, what))
                    .Hint("letters, digits, _ - . : / and blanks are taken"));
  }
  if (!IsUniquePath(key)) {
    return Fail(Invalid(fmt::format("'{}' cannot be the name of a {} in MLflow", key, what))
                    .Hint("it must not be empty, begin or end with /, or hold //, /./ or /../"));
  }
  if (Utf8Length(key) > 250) {
    return Fail(
        Invalid(fmt::format("the name of a {} is longer than MLflow's 250 characters: '{}...'", what, Cut(key, 60))));
  }
  return {};
}

Result<void> CheckExperimentName(std::string_view name) {
  if (Trim(name).empty()) return Fail(Invalid("an experiment needs a name"));
  if (!IsValidUtf8(name) || Utf8Length(name) > 256) {
    return Fail(
        Invalid(fmt::format("'{}' cannot be the name of an experiment: at most 256 characters", Cut(name, 60))));
  }
  return {};
}

Result<void> CheckModelName(std::string_view name) {
  const bool allowed = !Trim(name).empty() && name.find_first_of("/:") == std::string_view::npos && IsUniquePath(name);
  if (allowed && IsValidUtf8(name) && Utf8Length(name) <= 256) return {};
  return Fail(Invalid(fmt::format("'{}' cannot be the name of a registered model", Cut(name, 60)))
                  .Hint("1 to 256 characters without / and :"));
}

Result<void> CheckLoggedModelName(std::string_view name) {
  if (!name.empty() && name.find_first_of("/:.%\"'") == std::string_view::npos && IsValidUtf8(name)) return {};
  return Fail(Invalid(fmt::format("'{}' cannot be the name of a run's model", name))
                  .Hint("it must not be empty or hold any of / : . % \" '"));
}

Result<void> CheckAlias(std::string_view alias) {
  const bool allowed =
      !alias.empty() && alias.size() <= 255 &&
      std::all_of(alias.begin(), alias.end(), [](unsigned char c) { return IsWordCharacter(c) || c == '-'; });
  if (!allowed) {
    return Fail(Invalid(fmt::format("'{}' cannot be an alias", Cut(alias, 60)))
                    .Hint("letters, digits, _ and - are taken, 1 to 255 of them"));
  }
  const std::string lower = Lower(alias);
  const bool version =
      lower.size() > 1 && lower[0] == 'v' &&
      std::all_of(lower.begin() + 1, lower.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  if (lower == "latest" || version) {
    return Fail(Invalid(fmt::format("the alias '{}' is reserved by MLflow", alias)).Hint("take another name"));
  }
  return {};
}

std::string Cut(std::string_view text, size_t characters) {
  if (text.size() <= characters) return std::string(text);
  size_t seen = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool starts = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
    if (starts && seen++ == characters) return std::string(text.substr(0, i));
  }
  return std::string(text);
}

}  // namespace quern::tracking
