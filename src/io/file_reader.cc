#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "io/files.h"
#include "io/system_files.h"

namespace quern::io {

namespace {

constexpr size_t kBufferSize = 256 * 1024;

/// The bytes of the file as they are.
class PlainReader : public FileReader {
 public:
  PlainReader(fs::path path, Fd fd, int64_t size) : path_(std::move(path)), fd_(std::move(fd)), size_(size) {}

  Result<size_t> Read(char* buffer, size_t size) override {
    while (true) {
      const ssize_t n = ::read(fd_.get(), buffer, size);
      if (n >= 0) {
        position_ += n;
        return static_cast<size_t>(n);
      }
      if (errno != EINTR) return Fail(SystemError("cannot read", path_, errno));
    }
  }
  int64_t position() const override { return position_; }
  int64_t file_size() const override { return size_; }

 private:
  fs::path path_;
  Fd fd_;
  int64_t size_;
  int64_t position_ = 0;
};

Error Corrupt(const fs::path& path, std::string_view why) {
  return Error(ErrorCode::kCorrupt, fmt::format("cannot decompress {}: {}", path.string(), why))
      .At({path.string(), 0, 0});
}

/// What both formats share: a buffer of compressed bytes.
class Decompressor : public FileReader {
 public:
  Decompressor(fs::path path, std::unique_ptr<FileReader> source)
      : path_(std::move(path)), source_(std::move(source)), input_(kBufferSize) {}
  int64_t position() const override { return source_->position() - static_cast<int64_t>(end_ - begin_); }
  int64_t file_size() const override { return source_->file_size(); }

 protected:
  /// false at the file's end.
  Result<bool> Fill() {
    if (begin_ < end_) return true;
    begin_ = 0;
    end_ = QUERN_TRY(source_->Read(input_.data(), input_.size()));
    return end_ > 0;
  }

  fs::path path_;
  std::unique_ptr<FileReader> source_;
  std::vector<char> input_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

class GzipReader : public Decompressor {
 public:
  using Decompressor::Decompressor;
  ~GzipReader() override {
    if (open_) ::inflateEnd(&stream_);
  }

  Result<size_t> Read(char* buffer, size_t size) override {
    if (size == 0 || done_) return 0;
    stream_.next_out = reinterpret_cast<Bytef*>(buffer);
    stream_.avail_out = static_cast<uInt>(std::min<size_t>(size, 1U << 30));
    const size_t asked = stream_.avail_out;
    while (stream_.avail_out == asked) {
      if (!QUERN_TRY(Fill())) {
        if (in_member_) return Fail(Corrupt(path_, "the file ends too early"));
        done_ = true;
        break;
      }
      if (!in_member_) {
        // Padding of zero bytes after the last member is allowed (gzip itself and tapes write it).
        if (members_ > 0 && input_[begin_] == 0) {
          ++begin_;
          continue;
        }
        const int status = open_ ? ::inflateReset(&stream_) : ::inflateInit2(&stream_, 15 + 16);
        if (status != Z_OK)
          return Fail(ErrorCode::kIo, fmt::format("cannot decompress {}: zlib gives {}", path_.string(), status));
        open_ = true;
        in_member_ = true;
        ++members_;
      }
      stream_.next_in = reinterpret_cast<Bytef*>(input_.data() + begin_);
      stream_.avail_in = static_cast<uInt>(end_ - begin_);
      const int status = ::inflate(&stream_, Z_NO_FLUSH);
      begin_ = end_ - stream_.avail_in;
      if (status == Z_STREAM_END) {
        in_member_ = false;
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        return Fail(Corrupt(path_, members_ > 1 && stream_.total_out == 0 ? "there is something else after its end"
                                   : stream_.msg                          ? stream_.msg
                                                                          : "broken data"));
      }
    }
    return asked - stream_.avail_out;
  }

 private:
  z_stream stream_{};
  bool open_ = false;
  bool in_member_ = false;
  bool done_ = false;
  int members_ = 0;
};

class ZstdReader : public Decompressor {
 public:
  ZstdReader(fs::path path, std::unique_ptr<FileReader> source)
      : Decompressor(std::move(path), std::move(source)), stream_(::ZSTD_createDStream()) {
    // Windows up to 128 MB: what `zstd --long` writes by default; more would let a small file take any memory.
    ::ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, 27);
  }
  ~ZstdReader() override { ::ZSTD_freeDStream(stream_); }

  Result<size_t> Read(char* buffer, size_t size) override {
    ZSTD_outBuffer out{buffer, size, 0};
    while (size > 0 && out.pos == 0) {
      // What the decoder still holds comes before new input.
      if (!flushing_ && !QUERN_TRY(Fill())) {
        if (in_frame_) return Fail(Corrupt(path_, "the file ends too early"));
        break;
      }
      ZSTD_inBuffer in{input_.data(), end_, begin_};
      const size_t left = ::ZSTD_decompressStream(stream_, &out, &in);
      if (::ZSTD_isError(left)) return Fail(Corrupt(path_, ::ZSTD_getErrorName(left)));
      begin_ = in.pos;
      in_frame_ = left != 0;
      flushing_ = out.pos == out.size && left != 0;
    }
    return out.pos;
  }

 private:
  ::ZSTD_DStream* stream_;
  bool in_frame_ = false;
  bool flushing_ = false;
};

}  // namespace

Compression CompressionOf(const fs::path& path) {
  const std::string ending = Lower(path.extension().string());
  if (ending == ".gz") return Compression::kGzip;
  if (ending == ".zst") return Compression::kZstd;
  return Compression::kNone;
}

Result<std::unique_ptr<FileReader>> FileReader::Open(const fs::path& path) {
  return Open(path, CompressionOf(path));
}

Result<std::unique_ptr<FileReader>> FileReader::Open(const fs::path& path, Compression compression) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info{};
  if (fd.get() < 0 || ::fstat(fd.get(), &info) != 0) return Fail(SystemError("cannot read", path, errno));
  if (S_ISDIR(info.st_mode)) return Fail(SystemError("cannot read", path, EISDIR));
  std::unique_ptr<FileReader> plain = std::make_unique<PlainReader>(path, std::move(fd), info.st_size);
  if (compression == Compression::kGzip) return std::make_unique<GzipReader>(path, std::move(plain));
  if (compression == Compression::kZstd) return std::make_unique<ZstdReader>(path, std::move(plain));
  return plain;
}

Result<std::string> FileReader::ReadAll() {
  std::string all;
  size_t used = 0;
  while (true) {
    if (all.size() - used < kBufferSize) all.resize(std::max(all.size() * 2, kBufferSize * 2));
    const size_t n = QUERN_TRY(Read(all.data() + used, all.size() - used));
    if (n == 0) break;
    used += n;
  }
  all.resize(used);
  return all;
}

Result<std::string> GzipCompress(std::string_view bytes) {
  z_stream stream{};
  if (::deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return Fail(ErrorCode::kIo, "cannot compress: zlib has no memory");
  }
  std::string out(::deflateBound(&stream, bytes.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int status = bytes.size() < (1U << 31) ? ::deflate(&stream, Z_FINISH) : Z_BUF_ERROR;
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  if (status != Z_STREAM_END) return Fail(ErrorCode::kIo, "cannot compress: the buffer is too large");
  return out;
}

Result<std::string> ZstdCompress(std::string_view bytes) {
  std::string out(::ZSTD_compressBound(bytes.size()), '\0');
  ::ZSTD_CCtx* context = ::ZSTD_createCCtx();
  ::ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  const size_t n = ::ZSTD_compress2(context, out.data(), out.size(), bytes.data(), bytes.size());
  ::ZSTD_freeCCtx(context);
  if (::ZSTD_isError(n)) return Fail(ErrorCode::kIo, fmt::format("cannot compress: {}", ::ZSTD_getErrorName(n)));
  out.resize(n);
  return out;
}

}  // namespace quern::io
