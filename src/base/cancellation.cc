#include "base/cancellation.h"

namespace quern {

void Cancellation::Cancel() const {
  std::lock_guard lock(state_->mutex);
  if (state_->cancelled.exchange(true)) return;
  for (auto& [id, callback] : state_->callbacks) callback();
  state_->callbacks.clear();
}

Result<void> Cancellation::Check() const {
  if (cancelled()) return Fail(ErrorCode::kCancelled, "stopped on request");
  return {};
}

Cancellation::Subscription Cancellation::OnCancel(std::function<void()> callback) const {
  Subscription out;
  std::lock_guard lock(state_->mutex);
  if (state_->cancelled) {
    callback();
    return out;
  }
  out.state_ = state_;
  out.id_ = state_->next++;
  state_->callbacks[out.id_] = std::move(callback);
  return out;
}

void Cancellation::Subscription::Reset() {
  if (!state_) return;
  auto* state = static_cast<State*>(state_.get());
  {
    std::lock_guard lock(state->mutex);
    state->callbacks.erase(id_);
  }
  state_.reset();
}

Cancellation::Subscription& Cancellation::Subscription::operator=(Subscription&& other) noexcept {
  if (this != &other) {
    Reset();
    state_ = std::move(other.state_);
    id_ = other.id_;
  }
  return *this;
}

}  // namespace quern
