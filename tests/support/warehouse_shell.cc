// A warehouse driven by SQL on stdin, one statement a line, for tests that are no C++: warehouse_shell ROOT.
// "2: SQL" runs on a second connection. Answers: one JSON line per statement, {"columns", "rows", "changed"}
// or {"error"}.
#include <iostream>

#include "base/json.h"
#include "warehouse/warehouse.h"

int main(int argc, char** argv) {
  using namespace quern;
  if (argc < 2) return 2;
  auto warehouse = warehouse::Warehouse::Open({.root = argv[1]});
  if (!warehouse) {
    std::cerr << warehouse.error().ToString();
    return 2;
  }
  std::map<std::string, std::unique_ptr<warehouse::Session>> sessions;
  std::string line;
  bool failed = false;
  while (std::getline(std::cin, line)) {
    if (line.empty() || line[0] == '#') continue;
    std::string name = "1";
    if (line.size() > 2 && std::isdigit(static_cast<unsigned char>(line[0])) && line[1] == ':') {
      name = line.substr(0, 1);
      line.erase(0, 2);
    }
    auto& session = sessions[name];
    if (!session) session = *(*warehouse)->NewSession();
    auto result = session->Execute(line);
    Json answer = Json::object();
    if (!result) {
      answer["error"] = result.error().ToJson();
      failed = true;
    } else {
      answer["changed"] = result->rows_changed;
      answer["columns"] = Json::array();
      for (const auto& column : result->columns) answer["columns"].push_back(column.name);
      answer["rows"] = Json::array();
      for (const auto& row : result->rows) {
        Json cells = Json::array();
        for (const auto& value : row) {
          std::visit(
              [&](const auto& v) {
                if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::monostate>) {
                  cells.push_back(nullptr);
                } else {
                  cells.push_back(v);
                }
              },
              value);
        }
        answer["rows"].push_back(std::move(cells));
      }
    }
    std::cout << answer.dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl;
  }
  return failed ? 1 : 0;
}
