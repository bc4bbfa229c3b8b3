// Runs a fuzz target without libFuzzer: every file of the corpus folders given, then mutations of them with a fixed
// seed, so that the ordinary test run does the same each time. usage: x_fuzz [--rounds N] [--seed N] FOLDER-OR-FILE...
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Bytes = std::vector<uint8_t>;

void Run(const Bytes& input) {
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

Bytes Mutate(const std::vector<Bytes>& corpus, std::mt19937& random) {
  const auto pick = [&](size_t n) { return n == 0 ? size_t{0} : static_cast<size_t>(random() % n); };
  Bytes bytes = corpus[pick(corpus.size())];
  for (size_t changes = 1 + pick(4); changes > 0; --changes) {
    const size_t at = pick(bytes.size() + 1);
    const auto here = bytes.begin() + static_cast<ptrdiff_t>(at);
    const size_t left = bytes.size() - at;
    switch (pick(6)) {
      case 0:  // another byte
        if (left > 0) *here = static_cast<uint8_t>(random());
        break;
      case 1:  // a byte that parsers care about
        if (left > 0) *here = static_cast<uint8_t>("{}[]\",:\\\n0-.e%'"[pick(15)]);
        break;
      case 2:  // cut out
        bytes.erase(here, here + static_cast<ptrdiff_t>(pick(std::min<size_t>(left, 16) + 1)));
        break;
      case 3: {  // repeat
        const Bytes part(here, here + static_cast<ptrdiff_t>(pick(std::min<size_t>(left, 64) + 1)));
        bytes.insert(bytes.begin() + static_cast<ptrdiff_t>(pick(bytes.size() + 1)), part.begin(), part.end());
        break;
      }
      case 4:  // cut off
        bytes.resize(at);
        break;
      default: {  // a piece of another input
        const Bytes& other = corpus[pick(corpus.size())];
        const size_t from = pick(other.size() + 1);
        const size_t size = pick(std::min<size_t>(other.size() - from, 64) + 1);
        bytes.insert(here, other.begin() + static_cast<ptrdiff_t>(from),
                     other.begin() + static_cast<ptrdiff_t>(from + size));
      }
    }
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  long rounds = 0;
  unsigned seed = 1;
  std::vector<fs::path> files;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--rounds" && i + 1 < argc) {
      rounds = std::atol(argv[++i]);
    } else if (argument == "--seed" && i + 1 < argc) {
      seed = static_cast<unsigned>(std::atol(argv[++i]));
    } else if (fs::is_directory(argument)) {
      for (const auto& entry : fs::recursive_directory_iterator(argument)) {
        if (entry.is_regular_file()) files.push_back(entry.path());
      }
    } else {
      files.emplace_back(argument);
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<Bytes> corpus;
  for (const fs::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    Run(corpus.back());
  }
  if (corpus.empty()) corpus.emplace_back();
  std::mt19937 random(seed);
  for (long round = 0; round < rounds; ++round) Run(Mutate(corpus, random));
  std::printf("%zu files, %ld mutations\n", files.size(), rounds);
  return 0;
}
