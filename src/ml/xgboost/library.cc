#include "ml/xgboost/library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>

#include "base/text.h"

namespace quern::ml {
namespace {

constexpr const char* kHint = "install it: `apt install libxgboost-dev` on Debian, or `./dev setup`";

Result<XgboostLibrary> Load() {
  const char* chosen = std::getenv("QUERN_XGBOOST");
  std::string name = chosen && *chosen ? chosen : "libxgboost.so.0";
  void* library = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);  // kept for the life of the process
  if (!library) {
    const char* reason = ::dlerror();
    return Fail(Error(ErrorCode::kTraining,
                      fmt::format("XGBoost cannot be loaded: {}", reason ? reason : name + " is not there"))
                    .Hint(kHint));
  }
  XgboostLibrary out{};
  std::string missing;
  auto take = [&](auto& function, const char* symbol) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, symbol));
    if (!function && missing.empty()) missing = symbol;
  };
  take(out.Version, "XGBoostVersion");
  take(out.LastError, "XGBGetLastError");
  take(out.SetGlobalConfig, "XGBSetGlobalConfig");
  take(out.DenseMatrixCreate, "XGDMatrixCreateFromDense");
  take(out.ProxyCreate, "XGProxyDMatrixCreate");
  take(out.ProxySetDense, "XGProxyDMatrixSetDataDense");
  take(out.QuantileMatrixCreate, "XGQuantileDMatrixCreateFromCallback");
  take(out.MatrixSetFloatInfo, "XGDMatrixSetFloatInfo");
  take(out.MatrixSetStrFeatureInfo, "XGDMatrixSetStrFeatureInfo");
  take(out.MatrixFree, "XGDMatrixFree");
  take(out.BoosterCreate, "XGBoosterCreate");
  take(out.BoosterFree, "XGBoosterFree");
  take(out.BoosterSetParam, "XGBoosterSetParam");
  take(out.BoosterSetStrFeatureInfo, "XGBoosterSetStrFeatureInfo");
  take(out.BoosterUpdateOneIter, "XGBoosterUpdateOneIter");
  take(out.BoosterEvalOneIter, "XGBoosterEvalOneIter");
  take(out.BoosterSlice, "XGBoosterSlice");
  take(out.BoosterSaveModelToBuffer, "XGBoosterSaveModelToBuffer");
  if (!missing.empty()) {
    return Fail(
        Error(ErrorCode::kTraining, fmt::format("{} has no {}: it is not XGBoost 1.7", name, missing)).Hint(kHint));
  }
  int major = 0, minor = 0, patch = 0;
  out.Version(&major, &minor, &patch);
  out.version = fmt::format("{}.{}.{}", major, minor, patch);
  if (major != 1 || minor != 7) {
    return Fail(Error(ErrorCode::kTraining, fmt::format("{} is XGBoost {}, trained is with 1.7", name, out.version))
                    .Hint(kHint));
  }
  return out;
}

}  // namespace

Result<const XgboostLibrary*> XgboostLibrary::Get() {
  static const Result<XgboostLibrary> library = Load();
  if (!library) return Fail(library.error());
  return &*library;
}

Result<void> XgboostLibrary::Check(int code, std::string_view doing) const {
  if (code == 0) return {};
  // Its messages go on with a stack trace of its own.
  std::string text = LastError();
  if (size_t stack = text.find("Stack trace:"); stack != std::string::npos) text.resize(stack);
  if (text.rfind('[', 0) == 0) {  // "[20:15:01] ../src/x.cc:12: "
    if (size_t end = text.find(": "); end != std::string::npos) text.erase(0, end + 2);
  }
  std::string words;
  for (const auto& line : Split(text, '\n')) {
    if (!Trim(line).empty()) words += (words.empty() ? "" : " ") + std::string(Trim(line));
  }
  return Fail(ErrorCode::kTraining, fmt::format("{}: XGBoost says: {}", doing, words));
}

}  // namespace quern::ml
