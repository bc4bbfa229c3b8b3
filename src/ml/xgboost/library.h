#pragma once
#include <cstdint>
#include <string>
#include <utility>

#include "base/result.h"

// XGBoost's C interface, loaded when first needed, so that a program that trains nothing does not pay for it.
namespace quern::ml {

/// The functions of libxgboost.so.0 (1.7) that we call, as its c_api.h declares them. Each gives 0, or -1 with the
/// reason in LastError() of the same thread.
struct XgboostLibrary {
  using Handle = void*;
  using Length = uint64_t;
  using Next = int(Handle iterator);
  using Reset = void(Handle iterator);

  void (*Version)(int* major, int* minor, int* patch);
  const char* (*LastError)();
  int (*SetGlobalConfig)(const char* json);
  int (*DenseMatrixCreate)(const char* array_interface, const char* config, Handle* out);
  int (*ProxyCreate)(Handle* out);
  int (*ProxySetDense)(Handle proxy, const char* array_interface);
  int (*QuantileMatrixCreate)(Handle iterator, Handle proxy, Handle reference, Reset* reset, Next* next,
                              const char* config, Handle* out);
  int (*MatrixSetFloatInfo)(Handle matrix, const char* field, const float* values, Length count);
  int (*MatrixSetStrFeatureInfo)(Handle matrix, const char* field, const char** values, Length count);
  int (*MatrixFree)(Handle matrix);
  int (*BoosterCreate)(const Handle* matrices, Length count, Handle* out);
  int (*BoosterFree)(Handle booster);
  int (*BoosterSetParam)(Handle booster, const char* name, const char* value);
  int (*BoosterSetStrFeatureInfo)(Handle booster, const char* field, const char** values, Length count);
  int (*BoosterUpdateOneIter)(Handle booster, int round, Handle matrix);
  int (*BoosterEvalOneIter)(Handle booster, int round, Handle* matrices, const char** names, Length count,
                            const char** out);
  int (*BoosterSlice)(Handle booster, int begin, int end, int step, Handle* out);
  int (*BoosterSaveModelToBuffer)(Handle booster, const char* config, Length* length, const char** bytes);

  /// Loads it at the first call. Errors: kTraining when it is not there or of another version. Thread-safe.
  static Result<const XgboostLibrary*> Get();
  std::string version;  ///< "1.7.4"

  /// kTraining with XGBoost's own words, when `code` says that a call failed.
  Result<void> Check(int code, std::string_view doing) const;
};

/// Owns a matrix or a booster.
class XgboostHandle {
 public:
  using Free = int (*)(void*);
  explicit XgboostHandle(Free free) : free_(free) {}
  XgboostHandle(XgboostHandle&& other) noexcept : free_(other.free_), handle_(std::exchange(other.handle_, nullptr)) {}
  XgboostHandle& operator=(XgboostHandle&& other) noexcept {
    std::swap(free_, other.free_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~XgboostHandle() {
    if (handle_) free_(handle_);
  }
  void* get() const { return handle_; }
  void** out() { return &handle_; }

 private:
  Free free_;
  void* handle_ = nullptr;
};

}  // namespace quern::ml
