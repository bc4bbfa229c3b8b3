#include "io/object_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "io/fault_store.h"
#include "io/files.h"

namespace quern::io {
namespace {

/// Every object store passes this suite.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual ObjectStore& store() = 0;
};
class LocalBackend : public Backend {
 public:
  LocalBackend() : folder_(TempFolder::Make().value()), store_(folder_.path()) {}
  ObjectStore& store() override { return store_; }

 private:
  TempFolder folder_;
  LocalObjectStore store_;
};
class MemoryBackend : public Backend {
 public:
  ObjectStore& store() override { return store_; }

 private:
  InMemoryObjectStore store_;
};
class FaultBackend : public Backend {
 public:
  ObjectStore& store() override { return store_; }

 private:
  FaultStore store_;
};

template <class B>
class ObjectStoreTest : public ::testing::Test {
 protected:
  B backend_;
  ObjectStore& store_ = backend_.store();

  std::vector<std::string> Keys(std::string_view prefix, std::string_view after = "") {
    std::vector<std::string> keys;
    const std::vector<ObjectMeta> listed = store_.List(prefix, after).value();
    for (const ObjectMeta& meta : listed) keys.push_back(meta.key);
    return keys;
  }
};
using Backends = ::testing::Types<LocalBackend, MemoryBackend, FaultBackend>;
TYPED_TEST_SUITE(ObjectStoreTest, Backends);

using Names = std::vector<std::string>;

TYPED_TEST(ObjectStoreTest, MissingObjectIsNothing) {
  EXPECT_EQ(this->store_.Get("a/b").value(), std::nullopt);
  EXPECT_EQ(this->store_.GetRange("a/b", 0, 3).value(), std::nullopt);
  EXPECT_FALSE(this->store_.Head("a").value().has_value());
  EXPECT_TRUE(this->store_.Delete("a/b"));
  EXPECT_TRUE(this->store_.List("a/").value().empty());
  EXPECT_TRUE(this->store_.ListFolders("a").value().empty());
  EXPECT_TRUE(this->store_.ListRecursively("a").value().empty());
  EXPECT_EQ(this->store_.Sync("a/b").error().code(), ErrorCode::kNotFound);
}

TYPED_TEST(ObjectStoreTest, PutReplacesWholeObjects) {
  ASSERT_TRUE(this->store_.Put("x/y/z", "longer text"));
  ASSERT_TRUE(this->store_.Put("x/y/z", "short"));
  EXPECT_EQ(this->store_.Get("x/y/z").value(), "short");
  EXPECT_EQ(this->store_.Head("x/y/z").value()->size, 5);
  ASSERT_TRUE(this->store_.Put("x/y/z", ""));
  EXPECT_EQ(this->store_.Get("x/y/z").value(), "");
  EXPECT_TRUE(this->store_.Sync("x/y/z"));
  ASSERT_TRUE(this->store_.Delete("x/y/z"));
  ASSERT_TRUE(this->store_.Delete("x/y/z"));
  EXPECT_EQ(this->store_.Get("x/y/z").value(), std::nullopt);
}

TYPED_TEST(ObjectStoreTest, BytesAreKeptAsTheyAre) {
  std::string bytes;
  for (int i = 0; i < 100'000; ++i) bytes.push_back(static_cast<char>(i * 7));
  ASSERT_TRUE(this->store_.Put("bin ä%20", bytes));
  EXPECT_EQ(this->store_.Get("bin ä%20").value(), bytes);
  EXPECT_EQ(this->store_.GetRange("bin ä%20", 5, 3).value(), bytes.substr(5, 3));
  EXPECT_EQ(this->store_.GetRange("bin ä%20", 99'999, 30).value(), bytes.substr(99'999));
  EXPECT_EQ(this->store_.GetRange("bin ä%20", 200'000, 3).value(), "");
  EXPECT_FALSE(this->store_.GetRange("bin ä%20", -1, 3));
}

TYPED_TEST(ObjectStoreTest, PutIfAbsentKeepsTheFirst) {
  EXPECT_EQ(this->store_.PutIfAbsent("log/0", "one").value(), PutResult::kCreated);
  EXPECT_EQ(this->store_.PutIfAbsent("log/0", "two").value(), PutResult::kExists);
  EXPECT_EQ(this->store_.Get("log/0").value(), "one");
}

TYPED_TEST(ObjectStoreTest, OneOfManyRacersCreates) {
  for (int round = 0; round < 20; ++round) {
    const std::string key = fmt::format("race/{}", round);
    std::atomic<int> created = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        if (this->store_.PutIfAbsent(key, std::to_string(i)).value() == PutResult::kCreated) ++created;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(created, 1);
    EXPECT_EQ(this->store_.Get(key).value()->size(), 1U);
  }
  EXPECT_EQ(this->Keys("race/").size(), 20U);
}

TYPED_TEST(ObjectStoreTest, ListsOneFolderInOrderOfKeys) {
  for (const char* key : {"t/b", "t/a", "t/a-1", "t/a/deep", "t/c/deep/er", "u", "t/ab"})
    ASSERT_TRUE(key == std::string("t/a") || this->store_.Put(key, "1"));
  EXPECT_EQ(this->Keys("t/"), (Names{"t/a-1", "t/ab", "t/b"}));
  EXPECT_EQ(this->Keys("t/a"), (Names{"t/a-1", "t/ab"}));
  EXPECT_EQ(this->Keys("t/", "t/a-1"), (Names{"t/ab", "t/b"}));
  EXPECT_EQ(this->Keys("t/", "t/aa"), (Names{"t/ab", "t/b"}));
  EXPECT_EQ(this->Keys("t/", "t/b"), Names{});
  EXPECT_EQ(this->Keys(""), Names{"u"});
  EXPECT_EQ(this->store_.ListFolders("t").value(), (Names{"a", "c"}));
  EXPECT_EQ(this->store_.ListFolders("").value(), (Names{"t"}));
  Names all;
  const std::vector<ObjectMeta> listed = this->store_.ListRecursively("t").value();
  for (const ObjectMeta& meta : listed) all.push_back(meta.key);
  EXPECT_EQ(all, (Names{"t/a-1", "t/a/deep", "t/ab", "t/b", "t/c/deep/er"}));
}

TYPED_TEST(ObjectStoreTest, KeysThatEscapeAreRefused) {
  for (const char* key : {"", "a//b", "../a", "a/..", "./a", "a/"}) {
    EXPECT_EQ(this->store_.Get(key).error().code(), ErrorCode::kInvalidArgument) << key;
    EXPECT_FALSE(this->store_.Put(key, "x")) << key;
  }
}

TEST(LocalObjectStoreTest, TemporaryFilesAreNeitherListedNorLeft) {
  const TempFolder folder = TempFolder::Make().value();
  LocalObjectStore store(folder.path());
  ASSERT_TRUE(store.PutIfAbsent("a/1", "x"));
  ASSERT_TRUE(store.PutIfAbsent("a/1", "x"));
  ASSERT_TRUE(store.Put("a/2", "x"));
  int entries = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder.path() / "a")) ++entries;
  EXPECT_EQ(entries, 2);
  std::ofstream(folder.path() / "a/.quern-tmp-1") << "left by a crash";
  EXPECT_EQ(store.List("a/").value().size(), 2U);
}

TEST(LocalObjectStoreTest, ErrorsSayWhyAndWhere) {
  const TempFolder folder = TempFolder::Make().value();
  LocalObjectStore store(folder.path());
  ASSERT_TRUE(store.Put("file", "x"));
  const auto under_file = store.Put("file/x", "y");
  ASSERT_FALSE(under_file);
  EXPECT_NE(under_file.error().message().find("file"), std::string::npos);
  EXPECT_EQ(SystemError("cannot write", "p", ENOSPC).code(), ErrorCode::kNoSpace);
  EXPECT_EQ(SystemError("cannot write", "p", EROFS).code(), ErrorCode::kPermissionDenied);
  EXPECT_EQ(SystemError("cannot write", "p", EIO).code(), ErrorCode::kIo);
  if (::geteuid() == 0) GTEST_SKIP() << "root may write anywhere";
  ::chmod(folder.path().c_str(), 0555);
  EXPECT_EQ(store.Put("new", "x").error().code(), ErrorCode::kPermissionDenied);
  ::chmod(folder.path().c_str(), 0755);
}

TEST(LocalObjectStoreTest, AbsoluteKeysNameThePathItself) {
  const TempFolder folder = TempFolder::Make().value();
  LocalObjectStore store("/nowhere");
  const std::string key = (folder.path() / "d/x").string();
  ASSERT_TRUE(store.Put(key, "abc"));
  EXPECT_EQ(store.Location(key), key);
  EXPECT_EQ(ReadFile(key).value(), "abc");
  EXPECT_EQ(store.List((folder.path() / "d/").string()).value().at(0).key, key);
}

TEST(FaultStoreTest, FailsOnOrder) {
  FaultStore store;
  store.FailCall(2, FaultStore::Fault::kBefore);
  EXPECT_TRUE(store.Put("a", "1"));
  EXPECT_FALSE(store.Put("b", "1"));
  EXPECT_EQ(store.Get("b").value(), std::nullopt);
  store.FailNext("PutIfAbsent", "log", FaultStore::Fault::kAfter, ErrorCode::kNoSpace);
  EXPECT_EQ(store.PutIfAbsent("log/1", "x").error().code(), ErrorCode::kNoSpace);
  EXPECT_EQ(store.Get("log/1").value(), "x");
}

TEST(FaultStoreTest, CrashLosesWhatWasNotSynced) {
  FaultStore store;
  store.PutUnsynced("data/1", "x");
  store.PutUnsynced("data/2", "x");
  ASSERT_TRUE(store.Sync("data/1"));
  store.FailCall(1, FaultStore::Fault::kCrash);
  EXPECT_FALSE(store.Put("y", "1"));
  EXPECT_FALSE(store.Get("data/1"));
  store.Restart();
  EXPECT_EQ(store.Get("data/1").value(), "x");
  EXPECT_EQ(store.Get("data/2").value(), std::nullopt);
  EXPECT_EQ(store.Get("y").value(), std::nullopt);
}

}  // namespace
}  // namespace quern::io
