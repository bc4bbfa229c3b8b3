#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>

#include "base/text.h"
#include "io/files.h"

namespace quern::io {

namespace {

constexpr size_t kMaxAlternatives = 1000;

/// The pattern with every {a,b} written out; an unclosed brace stands for itself.
Result<std::vector<std::string>> ExpandBraces(const std::string& pattern) {
  std::vector<std::string> done;
  std::vector<std::string> left{pattern};
  while (!left.empty()) {
    std::string text = std::move(left.back());
    left.pop_back();
    const size_t open = text.find('{');
    size_t close = std::string::npos;
    std::vector<size_t> commas;
    int depth = 0;
    for (size_t i = open; open != std::string::npos && i < text.size(); ++i) {
      if (text[i] == '{') ++depth;
      if (text[i] == ',' && depth == 1) commas.push_back(i);
      if (text[i] == '}' && --depth == 0) {
        close = i;
        break;
      }
    }
    if (close == std::string::npos) {
      done.push_back(std::move(text));
    } else {
      commas.push_back(close);
      size_t begin = open + 1;
      for (const size_t comma : commas) {
        left.push_back(text.substr(0, open) + text.substr(begin, comma - begin) + text.substr(close + 1));
        begin = comma + 1;
      }
    }
    if (done.size() + left.size() > kMaxAlternatives) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("the pattern '{}' has more than {} alternatives", pattern, kMaxAlternatives));
    }
  }
  return done;
}

bool HasWildcard(std::string_view component) {
  return component.find_first_of("*?[") != std::string_view::npos;
}

bool ComponentMatches(std::string_view pattern, std::string_view name) {
  if (name.starts_with('.') && !pattern.starts_with('.')) return false;
  return HasWildcard(pattern) ? GlobMatch(pattern, name) : pattern == name;
}

std::vector<std::string> Components(std::string_view path) {
  std::vector<std::string> parts;
  for (std::string& part : Split(path, '/')) {
    if (!part.empty() && part != ".") parts.push_back(std::move(part));
  }
  return parts;
}

bool PartsMatch(const std::vector<std::string>& pattern, size_t p, const std::vector<std::string>& path, size_t i) {
  // Greedy with one point of return per "**": as for '*' in text, the last one is enough.
  size_t star = std::string::npos;
  size_t star_at = 0;
  while (i < path.size()) {
    if (p < pattern.size() && pattern[p] == "**") {
      star = p++;
      star_at = i;
    } else if (p < pattern.size() && ComponentMatches(pattern[p], path[i])) {
      ++p;
      ++i;
    } else if (star != std::string::npos && !path[star_at].starts_with('.')) {
      p = star + 1;
      i = ++star_at;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == "**") ++p;
  return p == pattern.size();
}

struct Entry {
  std::string name;
  unsigned char type;
};

class Walker {
 public:
  explicit Walker(const std::vector<std::string>& parts) : parts_(parts) {}

  Result<void> Walk(const fs::path& folder, size_t part) {
    if (!seen_.emplace(folder.string(), part).second) return {};
    // Names without wildcards need no listing.
    if (part < parts_.size() && parts_[part] != "**" && !HasWildcard(parts_[part])) {
      const fs::path next = folder / parts_[part];
      struct stat info{};
      if (::stat(next.c_str(), &info) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) return {};
        return Fail(SystemError("cannot look at", next, errno));
      }
      return Visit(next, part + 1, S_ISDIR(info.st_mode));
    }
    if (part >= parts_.size()) return {};
    const bool deep = parts_[part] == "**";
    if (deep) QUERN_TRY(Walk(folder, part + 1));
    const std::vector<Entry> entries = QUERN_TRY(List(folder));
    for (const Entry& entry : entries) {
      const fs::path next = folder / entry.name;
      if (deep) {
        if (entry.name.starts_with('.')) continue;
        if (IsFolder(next, entry.type, false)) {
          QUERN_TRY(Walk(next, part));
        } else if (part + 1 == parts_.size() && IsFile(next, entry.type)) {
          found.insert(next.string());
        }
      } else if (ComponentMatches(parts_[part], entry.name)) {
        QUERN_TRY(Visit(next, part + 1, IsFolder(next, entry.type, true)));
      }
    }
    return {};
  }

  std::set<std::string> found;

 private:
  Result<void> Visit(const fs::path& path, size_t part, bool folder) {
    if (part < parts_.size()) return folder ? Walk(path, part) : Result<void>();
    if (!folder && IsFile(path, DT_UNKNOWN)) found.insert(path.string());
    return {};
  }

  static Result<std::vector<Entry>> List(const fs::path& folder) {
    std::vector<Entry> entries;
    const fs::path shown = folder.empty() ? fs::path(".") : folder;
    std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(shown.c_str()), ::closedir);
    if (!dir) {
      if (errno == ENOENT || errno == ENOTDIR) return entries;
      return Fail(SystemError("cannot list", shown, errno));
    }
    while (true) {
      errno = 0;
      const dirent* entry = ::readdir(dir.get());
      if (!entry) {
        if (errno) return Fail(SystemError("cannot list", shown, errno));
        return entries;
      }
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") entries.push_back({std::string(name), entry->d_type});
    }
  }

  static bool IsFolder(const fs::path& path, unsigned char type, bool follow) {
    if (type == DT_DIR) return true;
    if (type == DT_REG) return false;
    struct stat info{};
    if ((follow ? ::stat(path.c_str(), &info) : ::lstat(path.c_str(), &info)) != 0) return false;
    return S_ISDIR(info.st_mode);
  }

  static bool IsFile(const fs::path& path, unsigned char type) {
    if (type == DT_REG) return true;
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
  }

  const std::vector<std::string>& parts_;
  std::set<std::pair<std::string, size_t>> seen_;  // "**/**" must not look twice
};

}  // namespace

bool HasGlob(std::string_view pattern) {
  return pattern.find_first_of("*?[{") != std::string_view::npos;
}

bool PathMatches(std::string_view pattern, std::string_view path) {
  const std::vector<std::string> parts = Components(path);
  const Result<std::vector<std::string>> alternatives = ExpandBraces(std::string(pattern));
  if (!alternatives) return false;
  return std::any_of(alternatives->begin(), alternatives->end(),
                     [&](const std::string& each) { return PartsMatch(Components(each), 0, parts, 0); });
}

Result<std::vector<fs::path>> Glob(const fs::path& root, std::string_view pattern) {
  std::set<std::string> found;
  const std::vector<std::string> alternatives = QUERN_TRY(ExpandBraces(std::string(pattern)));
  for (const std::string& each : alternatives) {
    const std::vector<std::string> parts = Components(each);
    if (parts.empty()) continue;
    Walker walker(parts);
    QUERN_TRY(walker.Walk(each.starts_with('/') ? fs::path("/") : root, 0));
    found.merge(walker.found);
  }
  return std::vector<fs::path>(found.begin(), found.end());
}

}  // namespace quern::io
