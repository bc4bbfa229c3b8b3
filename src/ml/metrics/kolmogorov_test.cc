#include "ml/metrics/kolmogorov.h"

#include <gtest/gtest.h>

namespace quern::ml {
namespace {

// Recorded from scipy.stats 1.17.1: kstwo.sf(x, n), over all regions that Simard and L'Ecuyer distinguish.
TEST(Kolmogorov, OneSampleDistributionIsScipys) {
  struct Case {
    int64_t n;
    double x;
    double p;
  };
  for (const auto& one : std::vector<Case>{
           {1, 0.8, 0.39999999999999991},
           {3, 0.2, 0.99822222222222223},
           {10, 0.27, 0.38905586707926754},
           {10, 0.6, 0.00056816720000000035},
           {140, 0.1, 0.11353657290090946},
           {141, 0.02, 0.99999997445612876},
           {141, 0.05, 0.85484569300966295},
           {500, 0.05, 0.15866260223815387},
           {5000, 0.01, 0.69545572539138534},
           {5000, 0.03, 0.00024159234422666817},
           {100000, 0.0005, 1},
           {500000, 0.0012, 0.46719927706006792},
           {500000, 0.002, 0.036582179671620585},
           {2000000, 0.001, 0.03660662431970485},
           {2000000, 0.0006, 0.46737858083717476},
       }) {
    EXPECT_NEAR(KolmogorovSf(one.n, one.x), one.p, 1e-11) << one.n << " " << one.x;
  }
  EXPECT_EQ(KolmogorovSf(7, 0), 1);
  EXPECT_EQ(KolmogorovSf(7, 1), 0);
}

// Recorded from scipy.stats 1.17.1: ks_2samp.
TEST(Kolmogorov, TwoSampleTestIsScipys) {
  struct Case {
    int64_t n1;
    int64_t n2;
    double d;
    double p;
  };
  for (const auto& one : std::vector<Case>{
           {1, 1, 1, 1},
           {2, 3, 0.66666666666666663, 0.59999999999999998},
           {10, 10, 0.20000000000000001, 0.99445755482907172},
           {30, 45, 0.22222222222222221, 0.30620039656044101},
           {1000, 1000, 0.085000000000000006, 0.0014488954599620356},
           {1000, 700, 0.097571428571428573, 0.00072634143966016096},
           {10000, 9999, 0.091409140914091414, 8.5065363003349759e-37},
           {20000, 10, 0.48155000000000003, 0.011777542641508099},
           {20000, 3, 0.55570000000000008, 0.21646786143866653},
       }) {
    EXPECT_NEAR(KolmogorovSmirnovP(one.n1, one.n2, one.d), one.p, 1e-11) << one.n1 << " " << one.n2;
    EXPECT_NEAR(KolmogorovSmirnovP(one.n2, one.n1, one.d), one.p, 1e-11) << one.n2 << " " << one.n1;
  }
  EXPECT_EQ(KolmogorovSmirnovP(5, 8, 0), 1);
}

}  // namespace
}  // namespace quern::ml
