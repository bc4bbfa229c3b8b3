// The log's JSON reader, and what reads text out of it: schema, statistics, partition values, deletion vectors.
#include <cstdint>

#include "delta/actions.h"
#include "delta/deletion_vector.h"
#include "delta/literal.h"
#include "delta/schema.h"
#include "delta/stats.h"
#include "io/object_store.h"

using namespace quern;
using namespace quern::delta;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  io::InMemoryObjectStore store;
  if (auto actions = ParseActions(text, "input")) {
    for (const Action& action : *actions) {
      // What was read prints as one line that reads back.
      const std::string printed = PrintAction(action);
      const auto again = ParseActions(printed, "printed");
      QUERN_CHECK(again && again->size() == 1 && PrintAction(again->front()) == printed);
      if (const Add* add = std::get_if<Add>(&action)) {
        const FileStats stats = FileStats::Parse(add->stats);
        if (const FileStats::Column* column = stats.Find({"a"})) {
          for (int id = 0; id <= static_cast<int>(TypeId::kDecimal); ++id)
            Ignore(ParsePartitionValue(DataType::Of(static_cast<TypeId>(id)), std::string(column->min)),
                   "any answer is good");
        }
        if (add->deletion_vector) Ignore(ReadDeletionVector(store, "t", *add->deletion_vector), "any answer is good");
      }
      if (const Metadata* metadata = std::get_if<Metadata>(&action)) {
        if (auto schema = ParseSchema(metadata->schema_string))
          QUERN_CHECK(ParseSchema(PrintSchema(*schema)).value() == *schema);
      }
    }
  }
  Ignore(RowSet::Deserialize(text), "any answer is good");
  FileStats::Parse(text);
  return 0;
}
