#include "report/report.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "base/secrets.h"
#include "report/model_fixture.h"

namespace quern::report {
namespace {

ReportData Sample() {
  ReportData data;
  data.project = "shop";
  data.target = "dev";
  data.version = "0";
  data.nodes = {{"ingest.orders", "ingest", "orders", "append", "", {"daily"}, {}},
                {"model.shop.fct", "model", "fct", "table", "", {}, {0}}};
  data.runs = {
      {"daily/2024-01-01",
       "2024-01-01",
       "failed",
       1.5,
       {{0, "success", 0.5, 10, 2, "10 rows", ""}, {1, "failed", 1.0, {}, {}, "", "</script><b>no column 'x'"}}}};
  return data;
}

std::string DataOf(const std::string& html) {
  size_t from = html.find("id=\"data\">") + 10;
  return html.substr(from, html.find("</script>", from) - from);
}

TEST(ReportTest, DataIsJsonAndCannotEndItsElement) {
  std::string html = RenderHtml(Sample());
  auto data = ParseJson(DataOf(html), "data");
  ASSERT_TRUE(data) << data.error().ToString();
  EXPECT_EQ((*data)["runs"][0]["tasks"][1]["error"], "</script><b>no column 'x'");
  EXPECT_EQ((*data)["nodes"][1]["parents"][0], 0);
}

TEST(ReportTest, NothingIsLoadedFromOutside) {
  auto data = Sample();
  data.models = {SampleModel()};
  std::string html = RenderHtml(data);
  for (auto needle : {"src=", "href=", "@import", "url("}) EXPECT_EQ(html.find(needle), std::string::npos) << needle;
}

TEST(ReportTest, SecretsAndBrokenTextDoNotLeakOrFail) {
  RegisterSecret("s3cr3t-value");
  auto data = Sample();
  data.runs[0].tasks[0].message = "key s3cr3t-value \xff";
  std::string html = RenderHtml(data);
  EXPECT_EQ(html.find("s3cr3t-value"), std::string::npos);
  EXPECT_TRUE(ParseJson(DataOf(html), "data"));
}

TEST(ReportTest, ModelsAreShownWhereThereAreSome) {
  auto data = Sample();
  data.models.emplace_back().name = "nothing_yet";
  EXPECT_EQ(RenderHtml(data).find("nothing_yet"), std::string::npos);
  EXPECT_EQ(RenderHtml(data).find("<h2>Model"), std::string::npos);
  data.models.push_back(SampleModel());
  data.models.push_back(SampleModel());
  data.models.back().name = "@REPORT_DATA@";
  std::string html = RenderHtml(data);
  EXPECT_NE(html.find("Model late_arrival"), std::string::npos);
  EXPECT_NE(html.find("Model @REPORT_DATA@"), std::string::npos);
  EXPECT_TRUE(ParseJson(DataOf(html), "data"));
}

TEST(AxisLabelsTest, ShortestThatTellsRunsApart) {
  using V = std::vector<std::string>;
  EXPECT_EQ(AxisLabels({"m/2013-01-01", "m/2013-02-01"}), (V{"2013-01", "2013-02"}));
  EXPECT_EQ(AxisLabels({"d/2013-01-01", "d/2013-01-02"}), (V{"01-01", "01-02"}));
  EXPECT_EQ(AxisLabels({"d/2013-12-31", "d/2014-01-02"}), (V{"2013-12-31", "2014-01-02"}));
  EXPECT_EQ(AxisLabels({"manual/x"}), (V{"x"}));
}

}  // namespace
}  // namespace quern::report
