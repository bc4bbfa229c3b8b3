#include <cstdint>
#include <string_view>

#include "schedule/cron.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 1'000) return 0;
  auto cron = quern::schedule::Cron::Parse({reinterpret_cast<const char*>(data), size}, quern::TimeZone::Utc());
  if (!cron) return 0;
  const quern::Timestamp t = quern::FromMicros(1'367'366'400'000'000);
  auto next = cron->Next(t);
  auto previous = cron->Previous(t);
  QUERN_CHECK(next && *next > t && cron->FiresAt(*next));
  QUERN_CHECK(previous && *previous < t && cron->FiresAt(*previous));
  return 0;
}
