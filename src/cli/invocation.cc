#include "cli/invocation.h"

namespace quern::cli {

int ExitCodeOf(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kUsage:
    case ErrorCode::kProject:
    case ErrorCode::kSelector:
    case ErrorCode::kUnknownNode:
    case ErrorCode::kDuplicateNode:
    case ErrorCode::kCycle:
    case ErrorCode::kCron:
    case ErrorCode::kRunNotFound:
    case ErrorCode::kRerunPending:
    case ErrorCode::kDbtProject:
    case ErrorCode::kStateSchema:
      return kCouldNotRun;
    case ErrorCode::kCancelled:
      return kStopped;
    case ErrorCode::kIntervalRunning:
      return kBusy;
    default:
      return kFailed;
  }
}

int Invocation::Failed(const Error& error) const {
  if (json()) {
    PrintJson({{"error", error.ToJson()}});
  } else {
    terminal.PrintError(error);
  }
  return ExitCodeOf(error);
}

void Invocation::PrintJson(const Json& object) const {
  terminal.Out(object.dump(2, ' ', false, Json::error_handler_t::replace));
}

}  // namespace quern::cli
