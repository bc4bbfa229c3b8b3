#include "io/git.h"

#include <fmt/format.h>
#include <git2.h>

#include <memory>
#include <system_error>

namespace quern::io {

namespace {

struct Library {
  Library() { ::git_libgit2_init(); }
};

template <class T, void (*Free)(T*)>
struct Freer {
  void operator()(T* object) const { Free(object); }
};
template <class T, void (*Free)(T*)>
using Owned = std::unique_ptr<T, Freer<T, Free>>;

Error GitError(std::string_view doing, const std::filesystem::path& folder) {
  const git_error* last = ::git_error_last();
  return Error(ErrorCode::kIo,
               fmt::format("{} {}: {}", doing, folder.string(), last ? last->message : "unknown failure of git"));
}

}  // namespace

std::string GitState::ToString() const {
  return dirty ? commit + "-dirty" : commit;
}

Result<std::optional<GitState>> ReadGitState(const std::filesystem::path& folder) {
  static const Library library;
  git_repository* opened = nullptr;
  if (::git_repository_open_ext(&opened, folder.c_str(), 0, nullptr) != 0) return std::nullopt;
  Owned<git_repository, ::git_repository_free> repository(opened);
  if (::git_repository_is_bare(opened)) return std::nullopt;

  GitState state;
  git_oid id;
  const int head = ::git_reference_name_to_id(&id, opened, "HEAD");
  if (head == 0) {
    char text[GIT_OID_HEXSZ + 1];
    ::git_oid_tostr(text, sizeof text, &id);
    state.commit = text;
  } else if (head != GIT_ENOTFOUND && head != GIT_EUNBORNBRANCH) {
    return Fail(GitError("cannot read the commit of", folder));
  }

  std::error_code error;
  const std::filesystem::path top = std::filesystem::weakly_canonical(::git_repository_workdir(opened), error);
  const std::filesystem::path inside = std::filesystem::weakly_canonical(folder, error).lexically_relative(top);
  git_status_options options;
  ::git_status_options_init(&options, GIT_STATUS_OPTIONS_VERSION);
  options.show = GIT_STATUS_SHOW_INDEX_AND_WORKDIR;
  options.flags =
      GIT_STATUS_OPT_INCLUDE_UNTRACKED | GIT_STATUS_OPT_EXCLUDE_SUBMODULES | GIT_STATUS_OPT_DISABLE_PATHSPEC_MATCH;
  std::string path = inside.generic_string();
  char* paths[] = {path.data()};
  if (path != "." && !path.empty()) options.pathspec = {paths, 1};
  git_status_list* listed = nullptr;
  if (::git_status_list_new(&listed, opened, &options) != 0) return Fail(GitError("cannot read the state of", folder));
  Owned<git_status_list, ::git_status_list_free> status(listed);
  state.dirty = ::git_status_list_entrycount(listed) > 0;
  return state;
}

}  // namespace quern::io
