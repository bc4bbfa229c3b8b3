#include "ingest/byte_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace quern::ingest {
namespace {

constexpr size_t kBlock = 256 * 1024;

class File {
 public:
  File(int fd, std::string name) : fd_(fd), name_(std::move(name)), block_(kBlock, '\0') {}
  ~File() { ::close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  Result<std::string_view> Read() {
    ssize_t n;
    do n = ::read(fd_, block_.data(), block_.size());
    while (n < 0 && errno == EINTR);
    if (n < 0) return Fail(Error(ErrorCode::kIo, fmt::format("cannot read: {}", std::strerror(errno))).At({name_}));
    read_ += n;
    return std::string_view(block_).substr(0, static_cast<size_t>(n));
  }
  const std::string& name() const { return name_; }
  int64_t position() const { return read_; }

 private:
  int fd_;
  std::string name_;
  std::string block_;
  int64_t read_ = 0;
};

Error Corrupt(const File& file, std::string message) {
  return Error(ErrorCode::kCorrupt, std::move(message))
      .At({file.name()})
      .Hint("the file was not written or copied to its end, or is damaged: let it land again");
}

class PlainReader : public ByteReader {
 public:
  explicit PlainReader(std::unique_ptr<File> file) : file_(std::move(file)) {}
  Result<std::string_view> Next() override { return file_->Read(); }

 private:
  std::unique_ptr<File> file_;
};

class GzipReader : public ByteReader {
 public:
  explicit GzipReader(std::unique_ptr<File> file) : file_(std::move(file)), out_(kBlock, '\0') {
    inflateInit2(&stream_, 15 + 16);
  }
  ~GzipReader() override { inflateEnd(&stream_); }

  Result<std::string_view> Next() override {
    while (true) {
      if (stream_.avail_in == 0) {
        const std::string_view in = QUERN_TRY(file_->Read());
        if (in.empty()) {
          if (!begun_) return Fail(Corrupt(*file_, "the gzip file is empty"));
          if (inside_) return Fail(Corrupt(*file_, "the gzip file is truncated"));
          return std::string_view{};
        }
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
        stream_.avail_in = static_cast<uInt>(in.size());
      }
      if (!inside_) {
        if (begun_) {
          // Members may follow each other; zeros after the last one are padding.
          while (stream_.avail_in > 0 && *stream_.next_in == 0) {
            ++stream_.next_in;
            --stream_.avail_in;
          }
          if (stream_.avail_in == 0) continue;
          inflateReset(&stream_);
        }
        inside_ = begun_ = true;
      }
      stream_.next_out = reinterpret_cast<Bytef*>(out_.data());
      stream_.avail_out = static_cast<uInt>(out_.size());
      const int code = inflate(&stream_, Z_NO_FLUSH);
      if (code == Z_STREAM_END)
        inside_ = false;
      else if (code != Z_OK && code != Z_BUF_ERROR) {
        return Fail(Corrupt(*file_, fmt::format("the gzip file is damaged before byte {} ({})", file_->position(),
                                                stream_.msg ? stream_.msg : "data error")));
      }
      const size_t produced = out_.size() - stream_.avail_out;
      if (produced > 0) return std::string_view(out_).substr(0, produced);
    }
  }

 private:
  std::unique_ptr<File> file_;
  std::string out_;
  z_stream stream_{};
  bool begun_ = false;
  bool inside_ = false;
};

class ZstdReader : public ByteReader {
 public:
  explicit ZstdReader(std::unique_ptr<File> file)
      : file_(std::move(file)), out_(ZSTD_DStreamOutSize(), '\0'), stream_(ZSTD_createDStream()) {}
  ~ZstdReader() override { ZSTD_freeDStream(stream_); }

  Result<std::string_view> Next() override {
    while (true) {
      if (in_.pos == in_.size && !more_) {
        const std::string_view bytes = QUERN_TRY(file_->Read());
        if (bytes.empty()) {
          if (!begun_) return Fail(Corrupt(*file_, "the zstd file is empty"));
          if (inside_) return Fail(Corrupt(*file_, "the zstd file is truncated"));
          return std::string_view{};
        }
        in_ = {bytes.data(), bytes.size(), 0};
        begun_ = true;
      }
      ZSTD_outBuffer out{out_.data(), out_.size(), 0};
      const size_t code = ZSTD_decompressStream(stream_, &out, &in_);
      if (ZSTD_isError(code)) {
        return Fail(Corrupt(*file_, fmt::format("the zstd file is damaged before byte {} ({})", file_->position(),
                                                ZSTD_getErrorName(code))));
      }
      inside_ = code != 0;
      more_ = out.pos == out.size;
      if (out.pos > 0) return std::string_view(out_).substr(0, out.pos);
    }
  }

 private:
  std::unique_ptr<File> file_;
  std::string out_;
  ZSTD_DStream* stream_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  bool begun_ = false;
  bool inside_ = false;
  bool more_ = false;
};

}  // namespace

Result<std::unique_ptr<ByteReader>> ByteReader::Open(const std::filesystem::path& path, Compression compression,
                                                     std::string name) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const int number = errno;
    const ErrorCode code = number == ENOENT                      ? ErrorCode::kNotFound
                           : number == EACCES || number == EPERM ? ErrorCode::kPermissionDenied
                                                                 : ErrorCode::kIo;
    return Fail(Error(code, fmt::format("cannot open the file: {}", std::strerror(number))).At({std::move(name)}));
  }
  auto file = std::make_unique<File>(fd, std::move(name));
  switch (compression) {
    case Compression::kGzip:
      return std::make_unique<GzipReader>(std::move(file));
    case Compression::kZstd:
      return std::make_unique<ZstdReader>(std::move(file));
    case Compression::kNone:
      break;
  }
  return std::make_unique<PlainReader>(std::move(file));
}

Result<void> VerifyWhole(const std::filesystem::path& file, Compression compression, std::string name,
                         const Cancellation& cancellation) {
  const auto reader = QUERN_TRY(ByteReader::Open(file, compression, std::move(name)));
  if (compression == Compression::kNone) return {};
  while (true) {
    QUERN_TRY(cancellation.Check());
    if (QUERN_TRY(reader->Next()).empty()) return {};
  }
}

}  // namespace quern::ingest
