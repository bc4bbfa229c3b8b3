#include "base/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/result.h"

namespace quern {

struct Error::Data {
  ErrorCode code;
  std::string message;
  SourcePos pos;
  std::string hint;
  std::map<std::string, std::string> fields;
  std::vector<Frame> trace;
  std::shared_ptr<const Error> cause;
};

void Error::DataDeleter::operator()(Data* data) const {
  delete data;
}

std::string SourcePos::ToString() const {
  std::string out = file;
  if (line > 0) out += fmt::format("{}{}", out.empty() ? "line " : ":", line);
  if (line > 0 && column > 0) out += fmt::format(":{}", column);
  return out;
}

Error::Error(ErrorCode code, std::string message) : data_(new Data{code, std::move(message), {}, {}, {}, {}, {}}) {}
Error::Error(const Error& other) : data_(other.data_ ? new Data(*other.data_) : nullptr) {}
Error& Error::operator=(const Error& other) {
  if (this != &other) data_.reset(other.data_ ? new Data(*other.data_) : nullptr);
  return *this;
}

Error&& Error::At(SourcePos pos) && {
  if (!data_->pos.known()) data_->pos = std::move(pos);
  return std::move(*this);
}
Error&& Error::Hint(std::string hint) && {
  data_->hint = std::move(hint);
  return std::move(*this);
}
Error&& Error::With(std::string field, std::string value) && {
  data_->fields[std::move(field)] = std::move(value);
  return std::move(*this);
}
Error&& Error::Because(Error cause) && {
  data_->cause = std::make_shared<const Error>(std::move(cause));
  return std::move(*this);
}
Error&& Error::Context(std::string_view doing) && {
  data_->message = fmt::format("{}: {}", doing, data_->message);
  return std::move(*this);
}
Error&& Error::Trace(std::string what, SourcePos pos) && {
  data_->trace.push_back({std::move(what), std::move(pos)});
  return std::move(*this);
}

ErrorCode Error::code() const {
  return data_->code;
}
const std::string& Error::message() const {
  return data_->message;
}
const SourcePos& Error::pos() const {
  return data_->pos;
}
const std::string& Error::hint() const {
  return data_->hint;
}
const std::map<std::string, std::string>& Error::fields() const {
  return data_->fields;
}
const std::vector<Error::Frame>& Error::trace() const {
  return data_->trace;
}
const Error* Error::cause() const {
  return data_->cause.get();
}

std::string ErrorCodeName(ErrorCode code) {
  return fmt::format("Q{:04}", static_cast<int>(code));
}

std::string Error::ToString() const {
  std::string out;
  if (data_->pos.known()) out += data_->pos.ToString() + ": ";
  out += fmt::format("error {}: {}", ErrorCodeName(data_->code), data_->message);
  for (const auto& frame : data_->trace) {
    out += fmt::format("\n  {}{}", frame.what, frame.pos.known() ? " at " + frame.pos.ToString() : "");
  }
  if (!data_->hint.empty()) out += "\n  hint: " + data_->hint;
  if (data_->cause) out += "\n  because: " + data_->cause->ToString();
  return out;
}

nlohmann::json Error::ToJson() const {
  nlohmann::json out = {{"code", ErrorCodeName(data_->code)}, {"message", data_->message}};
  if (!data_->pos.file.empty()) out["file"] = data_->pos.file;
  if (data_->pos.line > 0) out["line"] = data_->pos.line;
  if (data_->pos.column > 0) out["column"] = data_->pos.column;
  if (!data_->hint.empty()) out["hint"] = data_->hint;
  if (!data_->fields.empty()) out["fields"] = data_->fields;
  for (const auto& frame : data_->trace) {
    out["trace"].push_back(
        {{"what", frame.what}, {"file", frame.pos.file}, {"line", frame.pos.line}, {"column", frame.pos.column}});
  }
  if (data_->cause) out["cause"] = data_->cause->ToJson();
  return out;
}

void Diagnostics::Append(Diagnostics other) {
  std::move(other.errors_.begin(), other.errors_.end(), std::back_inserter(errors_));
  std::move(other.warnings_.begin(), other.warnings_.end(), std::back_inserter(warnings_));
}

void Diagnostics::Sort() {
  auto key = [](const Error& e) { return std::tie(e.pos().file, e.pos().line, e.pos().column, e.message()); };
  for (auto* list : {&errors_, &warnings_}) {
    std::stable_sort(list->begin(), list->end(), [&](const Error& a, const Error& b) { return key(a) < key(b); });
    list->erase(
        std::unique(list->begin(), list->end(), [&](const Error& a, const Error& b) { return key(a) == key(b); }),
        list->end());
  }
}

void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "quern: internal error: %s does not hold (%s:%d). This is a bug, please report it.\n", condition,
               file, line);
  std::abort();
}

}  // namespace quern
