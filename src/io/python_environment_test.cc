#include "io/python_environment.h"

#include <gtest/gtest.h>

#include "io/files.h"

namespace quern::io {
namespace {

TEST(RequirementsTest, OnlyPinnedPackages) {
  EXPECT_TRUE(CheckRequirements(
      "# c\na==1\nb[x] == 2.0 ; python_version > '3'\n--no-binary :all:\nc==3 \\\n  --hash=sha256:aa\n", "r.txt"));
  auto r = CheckRequirements("a==1\nb>=2\n", "r.txt");
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().pos().ToString(), "r.txt:2:1");
  EXPECT_FALSE(CheckRequirements("-r other.txt\n", "r.txt"));
  EXPECT_FALSE(CheckRequirements("a==\n", "r.txt"));
}

TEST(PythonEnvironmentTest, IsMadeOnceAndFoundByPrograms) {
  auto folder = *TempFolder::Make("environment-test-");
  fs::path requirements = folder.path() / "r.txt";
  ASSERT_TRUE(WriteFileAtomically(requirements, "# no package\n"));
  int lines = 0;
  auto log = [&](std::string_view) { lines++; };
  auto made = MakePythonEnvironment(folder.path() / "envs", requirements, "r.txt", log, {});
  ASSERT_TRUE(made) << made.error().ToString();
  int first = lines;
  auto again = MakePythonEnvironment(folder.path() / "envs", requirements, "r.txt", log, {});
  ASSERT_TRUE(again);
  EXPECT_EQ(*made, *again);
  EXPECT_EQ(lines, first);
  ProcessOptions process;
  process.argv = {"python", "-c", "import sys; print(sys.prefix)"};
  std::string prefix;
  process.on_stdout = [&](std::string_view line) { prefix = line; };
  UsePythonEnvironment(*made, process);
  auto ended = RunProcess(process, {});
  ASSERT_TRUE(ended && ended->ok());
  EXPECT_EQ(fs::weakly_canonical(prefix), fs::weakly_canonical(*made));
}

TEST(PythonEnvironmentTest, UnpinnedPackagesAreRefusedBeforeAnythingIsMade) {
  auto folder = *TempFolder::Make("environment-test-");
  ASSERT_TRUE(WriteFileAtomically(folder.path() / "r.txt", "a>=1\n"));
  auto made = MakePythonEnvironment(folder.path() / "envs", folder.path() / "r.txt", "ml/r.txt", [](auto) {}, {});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().pos().ToString(), "ml/r.txt:1:1");
  EXPECT_FALSE(fs::exists(folder.path() / "envs"));
}

}  // namespace
}  // namespace quern::io
