#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace quern::cli {

/// A project that `quern init` can write; embedded at build time by tools/embed_files.py.
struct Template {
  std::string name;
  struct File {
    std::string path;  ///< relative, with '/'
    std::string_view content;
  };
  std::vector<File> files;
};
const std::vector<Template>& Templates();

}  // namespace quern::cli
