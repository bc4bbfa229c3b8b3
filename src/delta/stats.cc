#include "delta/stats.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <charconv>
#include <limits>

#include "base/text.h"
#include "delta/json_text.h"

namespace quern::delta {

namespace od = simdjson::ondemand;

class StatsParser {
 public:
  StatsParser(FileStats& stats, std::string_view text, const char* copy) : stats_(stats), text_(text), copy_(copy) {}

  void Run(od::document& document) {
    od::object object = document.get_object();
    for (auto field : object) {
      const std::string_view key = field.unescaped_key();
      od::value value = field.value();
      if (key == "numRecords") {
        stats_.num_records_ = Int(value);
      } else if (key == "tightBounds") {
        bool tight = true;
        if (!value.get_bool().get(tight)) stats_.tight_bounds_ = tight;
      } else if (key == "minValues") {
        Columns(value, -1, [](FileStats::Column& c, std::string_view token) { c.min = token; });
      } else if (key == "maxValues") {
        Columns(value, -1, [](FileStats::Column& c, std::string_view token) { c.max = token; });
      } else if (key == "nullCount") {
        Columns(value, -1, [](FileStats::Column& c, std::string_view token) {
          int64_t n = 0;
          const auto parsed = std::from_chars(token.data(), token.data() + token.size(), n);
          if (parsed.ec == std::errc() && parsed.ptr == token.data() + token.size()) c.null_count = n;
        });
      }
    }
  }

 private:
  static constexpr size_t kMaxNodes = 100'000;

  static std::optional<int64_t> Int(od::value value) {
    int64_t n = 0;
    if (value.get_int64().get(n)) return std::nullopt;
    return n;
  }

  /// The same bytes in the text that outlives the parse.
  std::string_view InText(std::string_view token) const {
    token = text_.substr(static_cast<size_t>(token.data() - copy_), token.size());
    while (!token.empty() &&
           (token.back() == ' ' || token.back() == '\n' || token.back() == '\t' || token.back() == '\r'))
      token.remove_suffix(1);
    return token;
  }

  int NodeOf(int parent, std::string_view name) {
    auto& nodes = stats_.nodes_;
    // The three objects name their columns in the same order: the next node is nearly always the one.
    if (next_ < nodes.size() && nodes[next_].parent == parent && nodes[next_].name == name)
      return static_cast<int>(next_++);
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (nodes[i].parent == parent && nodes[i].name == name) {
        next_ = i + 1;
        return static_cast<int>(i);
      }
    }
    if (nodes.size() >= kMaxNodes) return -1;
    nodes.push_back({name, parent, {}});
    next_ = nodes.size();
    return static_cast<int>(nodes.size() - 1);
  }

  template <class Set>
  void Columns(od::value value, int parent, const Set& set) {
    if (parent == -1) next_ = 0;
    if (value.type().value() != od::json_type::object) return;
    od::object object = value.get_object();
    for (auto field : object) {
      const char* key = field.key().value().raw();
      const char* end = key;
      bool escaped = false;
      while (*end != '"') {
        escaped = escaped || *end == '\\';
        end += *end == '\\' ? 2 : 1;
      }
      od::value inner = field.value();
      if (escaped) continue;
      const int node = NodeOf(parent, InText({key, static_cast<size_t>(end - key)}));
      if (node < 0) return;
      if (inner.type().value() == od::json_type::object) {
        Columns(inner, node, set);
      } else if (inner.type().value() != od::json_type::array) {
        const std::string_view token = InText(inner.raw_json_token());
        if (token != "null") set(stats_.nodes_[static_cast<size_t>(node)].column, token);
      }
    }
  }

  FileStats& stats_;
  std::string_view text_;
  const char* copy_;
  size_t next_ = 0;
};

FileStats FileStats::Parse(std::string_view json) {
  FileStats stats;
  if (json.empty()) return stats;
  thread_local od::parser parser;
  thread_local std::string buffer;
  buffer.assign(json);
  buffer.append(simdjson::SIMDJSON_PADDING, ' ');
  try {
    od::document document = parser.iterate(simdjson::padded_string_view(buffer.data(), json.size(), buffer.size()));
    StatsParser(stats, json, buffer.data()).Run(document);
  } catch (const simdjson::simdjson_error&) {
    return FileStats();
  }
  if (buffer.capacity() > (1U << 20)) std::string().swap(buffer);
  return stats;
}

const FileStats::Column* FileStats::Find(const ColumnPath& physical_path) const {
  int parent = -1;
  for (const std::string& name : physical_path) {
    int found = -1;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].parent == parent && nodes_[i].name == name) {
        found = static_cast<int>(i);
        break;
      }
    }
    if (found < 0) return nullptr;
    parent = found;
  }
  return parent < 0 ? nullptr : &nodes_[static_cast<size_t>(parent)].column;
}

namespace {

constexpr size_t kMaxCharacters = 32;

/// Bytes of the first `characters` code points.
size_t PrefixBytes(std::string_view text, size_t characters) {
  size_t i = 0;
  for (; characters > 0 && i < text.size(); --characters) {
    ++i;
    while (i < text.size() && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) ++i;
  }
  return i;
}

/// A text of at most kMaxCharacters + 1 characters that sorts (bytewise) after everything that begins as `text` does.
std::optional<std::string> UpperBound(std::string_view text) {
  const size_t cut = PrefixBytes(text, kMaxCharacters);
  if (cut == text.size()) return std::string(text);
  // The largest code point after the prefix is above every other continuation but its own repetition.
  std::string bound(text.substr(0, cut));
  bound += "\xF4\x8F\xBF\xBF";
  if (text.substr(cut).starts_with("\xF4\x8F\xBF\xBF")) return std::nullopt;
  return bound;
}

}  // namespace

void StatsBuilder::SetNullCount(const ColumnPath& path, int64_t n) {
  null_count_[path] = n;
}

void StatsBuilder::SetMin(const ColumnPath& path, const DataType& type, const Literal& value) {
  Literal cut = value;
  if (std::string* text = std::get_if<std::string>(&cut)) {
    if (!IsValidUtf8(*text)) return;
    text->resize(PrefixBytes(*text, kMaxCharacters));
  }
  if (auto printed = FormatStatistic(type, cut)) min_[path] = *std::move(printed);
}

void StatsBuilder::SetMax(const ColumnPath& path, const DataType& type, const Literal& value) {
  Literal cut = value;
  if (const std::string* text = std::get_if<std::string>(&value)) {
    if (!IsValidUtf8(*text)) return;
    auto bound = UpperBound(*text);
    if (!bound) return;
    cut = *std::move(bound);
  }
  if (int64_t* n = std::get_if<int64_t>(&cut);
      n && (type.id == TypeId::kTimestamp || type.id == TypeId::kTimestampNtz)) {
    // FormatStatistic rounds down to the millisecond: go up first.
    if (*n % 1000 != 0 && *n < std::numeric_limits<int64_t>::max() - 999) *n += 999;
  }
  if (auto printed = FormatStatistic(type, cut)) max_[path] = *std::move(printed);
}

namespace {

/// Prints paths in order as nested objects.
template <class Map, class PrintValue>
void PrintNested(std::string& out, const Map& map, const PrintValue& print) {
  out += '{';
  ColumnPath open;
  bool first = true;
  for (const auto& [path, value] : map) {
    size_t common = 0;
    while (common < open.size() && common + 1 < path.size() && open[common] == path[common]) ++common;
    for (size_t i = common; i < open.size(); ++i) out += '}';
    open.resize(common);
    if (!first) out += ',';
    first = false;
    for (size_t i = common; i + 1 < path.size(); ++i) {
      AppendJsonString(out, path[i]);
      out += ":{";
      open.push_back(path[i]);
    }
    AppendJsonString(out, path.back());
    out += ':';
    print(value);
  }
  out.append(open.size() + 1, '}');
}

}  // namespace

std::string StatsBuilder::ToJson() const {
  std::string out;
  ObjectWriter o(out);
  if (num_records_) o.Int("numRecords", *num_records_);
  const auto text = [&](const std::string& value) { out += value; };
  PrintNested(o.Key("minValues"), min_, text);
  PrintNested(o.Key("maxValues"), max_, text);
  PrintNested(o.Key("nullCount"), null_count_, [&](int64_t n) { fmt::format_to(std::back_inserter(out), "{}", n); });
  if (tight_bounds_) o.Bool("tightBounds", *tight_bounds_);
  o.End();
  return out;
}

std::vector<StatsColumn> StatsColumns(const StructType& schema, const Metadata& metadata) {
  std::vector<StatsColumn> columns;
  size_t limit = 32;
  std::vector<std::string> named;
  if (const auto it = metadata.configuration.find("delta.dataSkippingNumIndexedCols");
      it != metadata.configuration.end()) {
    int64_t n = 0;
    const std::string& text = it->second;
    if (std::from_chars(text.data(), text.data() + text.size(), n).ec == std::errc())
      limit = n < 0 ? SIZE_MAX : static_cast<size_t>(n);
  }
  if (const auto it = metadata.configuration.find("delta.dataSkippingStatsColumns");
      it != metadata.configuration.end()) {
    for (const std::string& name : Split(it->second, ','))
      named.push_back(ReplaceAll(std::string(Trim(name)), "`", ""));
    limit = SIZE_MAX;
  }
  const auto wanted = [&](const ColumnPath& logical) {
    if (named.empty()) return true;
    const std::string whole = Join(logical, ".");
    for (const std::string& name : named) {
      if (EqualsIgnoreCase(whole, name) || (whole.size() > name.size() && whole[name.size()] == '.' &&
                                            EqualsIgnoreCase(whole.substr(0, name.size()), name)))
        return true;
    }
    return false;
  };
  const auto walk = [&](const auto& self, const StructType& type, const ColumnPath& logical,
                        const ColumnPath& physical) -> void {
    for (const StructField& field : type.fields) {
      if (columns.size() >= limit) return;
      if (logical.empty()) {
        bool partition = false;
        for (const std::string& column : metadata.partition_columns) partition = partition || column == field.name;
        if (partition) continue;
      }
      StatsColumn column{logical, physical, field.type};
      column.logical.push_back(field.name);
      column.physical.push_back(field.physical_name());
      if (field.type.id == TypeId::kStruct) {
        self(self, *field.type.fields, column.logical, column.physical);
      } else if (!field.type.nested() && wanted(column.logical)) {
        columns.push_back(std::move(column));
      }
    }
  };
  walk(walk, schema, {}, {});
  return columns;
}

}  // namespace quern::delta
