#include "base/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <sstream>

#include "base/text.h"

namespace quern {

struct Yaml::Node {
  Kind kind = Kind::kNull;
  SourcePos pos;
  std::string text;
  bool quoted = false;
  bool boolean = false;
  int64_t integer = 0;
  double number = 0;
  std::vector<Yaml> items;
  std::vector<Entry> entries;
};

namespace {
const std::string kEmpty;

bool OneOf(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool ParseInt(std::string_view text, int64_t& out) {
  std::string digits;
  for (char c : text) {
    if (c != '_') digits += c;
  }
  bool negative = false;
  std::string_view rest = digits;
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  int base = 10;
  if (rest.size() > 2 && rest[0] == '0' && (rest[1] == 'x' || rest[1] == 'X')) {
    base = 16;
    rest.remove_prefix(2);
  } else if (rest.size() > 2 && rest[0] == '0' && (rest[1] == 'b' || rest[1] == 'B')) {
    base = 2;
    rest.remove_prefix(2);
  } else if (rest.size() > 1 && rest[0] == '0') {
    base = 8;
    rest.remove_prefix(1);
  }
  if (rest.empty() || text[0] == '_') return false;
  uint64_t value = 0;
  auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value, base);
  if (error != std::errc() || end != rest.data() + rest.size()) return false;
  if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return false;
  out = negative ? -static_cast<int64_t>(value) : static_cast<int64_t>(value);
  return true;
}

bool ParseFloat(std::string_view text, double& out) {
  if (OneOf(text, {".inf", ".Inf", ".INF", "+.inf"})) return out = std::numeric_limits<double>::infinity(), true;
  if (OneOf(text, {"-.inf", "-.Inf", "-.INF"})) return out = -std::numeric_limits<double>::infinity(), true;
  if (OneOf(text, {".nan", ".NaN", ".NAN"})) return out = std::nan(""), true;
  std::string digits;
  bool point = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '_') continue;
    if (c == '.') point = true;
    if (!(c >= '0' && c <= '9') && !OneOf({&text[i], 1}, {".", "e", "E", "-", "+"})) return false;
    digits += c;
  }
  // PyYAML wants a point: 1e3 is text there.
  if (!point || digits.empty()) return false;
  std::string_view rest = digits;
  if (rest[0] == '+') rest.remove_prefix(1);
  auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), out);
  return error == std::errc() && end == rest.data() + rest.size();
}
}  // namespace

class YamlBuilder : public YAML::EventHandler {
 public:
  explicit YamlBuilder(std::string file) : file_(std::move(file)) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto node = Make(Yaml::Kind::kNull, mark);
    Put(std::move(node), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto it = anchors_.find(anchor);
    if (it == anchors_.end()) throw YAML::ParserException(mark, "an alias inside its own anchor");
    weight_ += it->second.second;
    if (weight_ > kMaxNodes) throw YAML::ParserException(mark, "aliases expand to too many values");
    Attach(Yaml(it->second.first));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    auto node = Make(Yaml::Kind::kString, mark);
    node->text = value;
    node->quoted = tag == "!";
    bool plain = tag == "?" || tag.empty();
    if (tag == "tag:yaml.org,2002:int" || tag == "tag:yaml.org,2002:float" || tag == "tag:yaml.org,2002:bool")
      plain = true;
    if (plain) Resolve(*node);
    Put(std::move(node), anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(Make(Yaml::Kind::kSequence, mark), anchor, mark);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(Make(Yaml::Kind::kMapping, mark), anchor, mark);
  }
  void OnMapEnd() override { Close(); }

  std::optional<Yaml> root;

 private:
  struct Frame {
    std::shared_ptr<Yaml::Node> node;
    YAML::anchor_t anchor;
    size_t weight_before;
    std::optional<Yaml> key;
    std::vector<Yaml> merges;
  };
  static constexpr size_t kMaxDepth = 200;
  static constexpr size_t kMaxNodes = 5'000'000;

  std::shared_ptr<Yaml::Node> Make(Yaml::Kind kind, const YAML::Mark& mark) {
    if (++weight_ > kMaxNodes) throw YAML::ParserException(mark, "too many values");
    auto node = std::make_shared<Yaml::Node>();
    node->kind = kind;
    node->pos = {file_, mark.line + 1, mark.column + 1};
    return node;
  }

  static void Resolve(Yaml::Node& node) {
    const std::string& t = node.text;
    if (t.empty() || OneOf(t, {"~", "null", "Null", "NULL"})) {
      node.kind = Yaml::Kind::kNull;
    } else if (OneOf(t, {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})) {
      node.kind = Yaml::Kind::kBool;
      node.boolean = true;
    } else if (OneOf(t, {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})) {
      node.kind = Yaml::Kind::kBool;
    } else if (ParseInt(t, node.integer)) {
      node.kind = Yaml::Kind::kInt;
      node.number = static_cast<double>(node.integer);
    } else if (ParseFloat(t, node.number)) {
      node.kind = Yaml::Kind::kFloat;
    }
  }

  void Put(std::shared_ptr<Yaml::Node> node, YAML::anchor_t anchor) {
    if (anchor) anchors_[anchor] = {node, 1};
    Attach(Yaml(std::move(node)));
  }

  void Open(std::shared_ptr<Yaml::Node> node, YAML::anchor_t anchor, const YAML::Mark& mark) {
    if (stack_.size() >= kMaxDepth) throw YAML::ParserException(mark, "nested too deeply");
    stack_.push_back({std::move(node), anchor, weight_, {}, {}});
  }

  void Close() {
    Frame frame = std::move(stack_.back());
    stack_.pop_back();
    // Merge keys give what the mapping itself does not say; the first of several wins.
    for (const auto& merged : frame.merges) {
      for (const auto& entry : merged.entries()) {
        bool has = std::any_of(frame.node->entries.begin(), frame.node->entries.end(),
                               [&](const Yaml::Entry& e) { return e.first.text() == entry.first.text(); });
        if (!has) frame.node->entries.push_back(entry);
      }
    }
    if (frame.anchor) anchors_[frame.anchor] = {frame.node, weight_ - frame.weight_before + 1};
    Attach(Yaml(std::move(frame.node)));
  }

  void Attach(Yaml value) {
    if (stack_.empty()) {
      root = std::move(value);
      return;
    }
    Frame& frame = stack_.back();
    if (frame.node->kind == Yaml::Kind::kSequence) {
      frame.node->items.push_back(std::move(value));
      return;
    }
    if (!frame.key) {
      if (!value.is_scalar()) throw YAML::ParserException(MarkOf(value), "a key must be a single value");
      bool twice = value.text() != "<<" && seen_[frame.node.get()].count(value.text()) > 0;
      if (twice) throw YAML::ParserException(MarkOf(value), "the key '" + value.text() + "' is there twice");
      seen_[frame.node.get()].insert(value.text());
      frame.key = std::move(value);
      return;
    }
    if (frame.key->text() == "<<" && !frame.key->quoted()) {
      if (value.is_sequence()) {
        for (const auto& item : value.items()) frame.merges.push_back(item);
      } else {
        frame.merges.push_back(std::move(value));
      }
    } else {
      frame.node->entries.emplace_back(*std::move(frame.key), std::move(value));
    }
    frame.key.reset();
  }

  static YAML::Mark MarkOf(const Yaml& value) {
    YAML::Mark mark;
    mark.line = value.pos().line - 1;
    mark.column = value.pos().column - 1;
    return mark;
  }

  std::string file_;
  std::vector<Frame> stack_;
  std::map<YAML::anchor_t, std::pair<std::shared_ptr<const Yaml::Node>, size_t>> anchors_;
  std::map<const Yaml::Node*, std::set<std::string>> seen_;
  size_t weight_ = 0;
};

Result<Yaml> Yaml::Parse(std::string_view text, const std::string& file) {
  if (!IsValidUtf8(text)) return Fail(Error(ErrorCode::kParse, "the file is not valid UTF-8").At({file, 0, 0}));
  YamlBuilder builder(file);
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    parser.HandleNextDocument(builder);
  } catch (const YAML::ParserException& e) {
    return Fail(Error(ErrorCode::kParse, "not valid YAML: " + e.msg).At({file, e.mark.line + 1, e.mark.column + 1}));
  } catch (const YAML::Exception& e) {
    return Fail(Error(ErrorCode::kParse, fmt::format("not valid YAML: {}", e.what())).At({file, 0, 0}));
  }
  if (!builder.root) return Null({file, 1, 1});
  return *std::move(builder.root);
}

Yaml Yaml::Null(SourcePos pos) {
  auto node = std::make_shared<Node>();
  node->pos = std::move(pos);
  return Yaml(std::move(node));
}

Yaml::Kind Yaml::kind() const {
  return node_->kind;
}
const SourcePos& Yaml::pos() const {
  return node_->pos;
}
const std::string& Yaml::text() const {
  return is_scalar() ? node_->text : kEmpty;
}
bool Yaml::quoted() const {
  return node_->quoted;
}
bool Yaml::AsBool() const {
  return node_->boolean;
}
int64_t Yaml::AsInt() const {
  return node_->integer;
}
double Yaml::AsFloat() const {
  return node_->number;
}
const std::vector<Yaml>& Yaml::items() const {
  return node_->items;
}
const std::vector<Yaml::Entry>& Yaml::entries() const {
  return node_->entries;
}

const Yaml* Yaml::Find(std::string_view key) const {
  for (const auto& entry : node_->entries) {
    if (entry.first.text() == key) return &entry.second;
  }
  return nullptr;
}

Json Yaml::ToJson() const {
  switch (kind()) {
    case Kind::kNull:
      return nullptr;
    case Kind::kBool:
      return node_->boolean;
    case Kind::kInt:
      return node_->integer;
    case Kind::kFloat:
      return node_->number;
    case Kind::kString:
      return node_->text;
    case Kind::kSequence: {
      Json out = Json::array();
      for (const auto& item : node_->items) out.push_back(item.ToJson());
      return out;
    }
    case Kind::kMapping: {
      Json out = Json::object();
      for (const auto& [key, value] : node_->entries) out[key.text()] = value.ToJson();
      return out;
    }
  }
  return nullptr;
}

std::string Yaml::KindName() const {
  switch (kind()) {
    case Kind::kNull:
      return "nothing";
    case Kind::kBool:
      return "a truth value";
    case Kind::kInt:
      return "a whole number";
    case Kind::kFloat:
      return "a number";
    case Kind::kString:
      return "text";
    case Kind::kSequence:
      return "a list";
    case Kind::kMapping:
      return "a mapping";
  }
  return "";
}

YamlMap::YamlMap(const Yaml& node, std::string what, Diagnostics& diagnostics)
    : node_(node), what_(std::move(what)), diagnostics_(diagnostics) {
  if (!node_.is_mapping() && !node_.is_null()) {
    diagnostics_.Add(
        Error(ErrorCode::kWrongType, fmt::format("{} must be a mapping, it is {}", what_, node_.KindName()))
            .At(node_.pos()));
  }
}

void YamlMap::Allow(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.emplace_back(key);
}

bool YamlMap::Has(std::string_view key) {
  Allow(key);
  return node_.Find(key) != nullptr;
}

const Yaml* YamlMap::Get(std::string_view key) {
  Allow(key);
  const Yaml* value = node_.Find(key);
  return value && !value->is_null() ? value : nullptr;
}

void YamlMap::WrongType(const Yaml& value, std::string_view key, std::string_view wanted) {
  diagnostics_.Add(
      Error(ErrorCode::kWrongType, fmt::format("'{}' of {} must be {}, it is {}", key, what_, wanted, value.KindName()))
          .At(value.pos()));
}

std::optional<std::string> YamlMap::String(std::string_view key) {
  const Yaml* value = Get(key);
  if (!value) return std::nullopt;
  if (!value->is_scalar()) return WrongType(*value, key, "text"), std::nullopt;
  return value->text();
}

std::optional<bool> YamlMap::Bool(std::string_view key) {
  const Yaml* value = Get(key);
  if (!value) return std::nullopt;
  if (value->kind() != Yaml::Kind::kBool) return WrongType(*value, key, "true or false"), std::nullopt;
  return value->AsBool();
}

std::optional<int64_t> YamlMap::Int(std::string_view key) {
  const Yaml* value = Get(key);
  if (!value) return std::nullopt;
  if (value->kind() != Yaml::Kind::kInt) return WrongType(*value, key, "a whole number"), std::nullopt;
  return value->AsInt();
}

std::optional<double> YamlMap::Float(std::string_view key) {
  const Yaml* value = Get(key);
  if (!value) return std::nullopt;
  if (value->kind() != Yaml::Kind::kInt && value->kind() != Yaml::Kind::kFloat) {
    return WrongType(*value, key, "a number"), std::nullopt;
  }
  return value->AsFloat();
}

std::optional<std::vector<std::string>> YamlMap::Strings(std::string_view key) {
  const Yaml* value = Get(key);
  if (!value) return std::nullopt;
  if (value->is_scalar()) return std::vector<std::string>{value->text()};
  if (!value->is_sequence()) return WrongType(*value, key, "a list of texts"), std::nullopt;
  std::vector<std::string> out;
  for (const auto& item : value->items()) {
    if (!item.is_scalar()) return WrongType(item, key, "a list of texts"), std::nullopt;
    out.push_back(item.text());
  }
  return out;
}

std::string YamlMap::RequiredString(std::string_view key) {
  auto value = String(key);
  if (!value && !node_.Find(key)) {
    diagnostics_.Add(Error(ErrorCode::kMissingKey, fmt::format("{} needs '{}'", what_, key)).At(node_.pos()));
  } else if (!value && node_.Find(key)->is_null()) {
    diagnostics_.Add(Error(ErrorCode::kMissingKey, fmt::format("'{}' of {} is empty", key, what_)).At(PosOf(key)));
  }
  return value.value_or("");
}

std::optional<std::string> YamlMap::Choice(std::string_view key, const std::vector<std::string>& allowed) {
  auto value = String(key);
  if (!value) return std::nullopt;
  if (std::find(allowed.begin(), allowed.end(), *value) == allowed.end()) {
    auto hint = DidYouMean(*value, allowed);
    diagnostics_.Add(Error(ErrorCode::kInvalidArgument, fmt::format("'{}' of {} cannot be '{}': it is one of {}", key,
                                                                    what_, *value, Join(allowed, ", ")))
                         .At(PosOf(key))
                         .Hint(hint));
    return std::nullopt;
  }
  return value;
}

SourcePos YamlMap::PosOf(std::string_view key) const {
  const Yaml* value = node_.Find(key);
  return value ? value->pos() : node_.pos();
}

void YamlMap::Finish() {
  for (const auto& [key, value] : node_.entries()) {
    if (std::find(known_.begin(), known_.end(), key.text()) != known_.end()) continue;
    auto hint = DidYouMean(key.text(), known_);
    if (hint.empty()) hint = fmt::format("known keys are {}", Join(known_, ", "));
    diagnostics_.Add(
        Error(ErrorCode::kUnknownKey, fmt::format("{} has no key '{}'", what_, key.text())).At(key.pos()).Hint(hint));
  }
}

}  // namespace quern
