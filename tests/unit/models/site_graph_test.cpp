#include "harness/models/site_graph.h"

#include <gmock/gmock.h>

namespace qbench::models {
namespace {

Architecture gqa() {
  Architecture a;
  a.hidden_size = 12;
  a.heads = 6;
  a.kv_heads = 2;
  a.head_dim = 4;
  a.intermediate_size = 20;
  return a;
}

TEST(SiteGraph, FourSitesFeedSevenLinears) {
  const auto sites = site_graph(gqa());
  ASSERT_EQ(sites.size(), 4U);
  EXPECT_THAT(sites[0].consumers, ::testing::ElementsAre(Role::kQ, Role::kK, Role::kV));
  EXPECT_EQ(sites[0].producer, Producer::kAttentionNorm);
  EXPECT_EQ(sites[1].width, 24);
  EXPECT_EQ(sites[2].width, 12);
  EXPECT_EQ(sites[3].width, 20);
  EXPECT_EQ(sites[3].producer, Producer::kUp);
}

TEST(SiteGraph, TheOutputOfAttentionFoldsOnlyWithoutGroupedQueries) {
  Architecture a = gqa();
  EXPECT_FALSE(site_graph(a)[1].foldable);
  EXPECT_EQ(site_graph(a)[1].why_not, "v_proj feeds 3 query heads (GQA)");
  a.kv_heads = 6;
  EXPECT_TRUE(site_graph(a)[1].foldable);
  EXPECT_EQ(site_graph(a)[1].why_not, "");
}

TEST(SiteGraph, LinearsCarryNamesAndShapes) {
  Architecture a = gqa();
  a.k_bias = true;
  const auto linears = block_linears(a, 3);
  ASSERT_EQ(linears.size(), kAllRoles.size());
  for (size_t i = 0; i < linears.size(); ++i) EXPECT_EQ(linears[i].role, kAllRoles[i]);
  EXPECT_EQ(linears[1].name, "model.layers.3.self_attn.k_proj");
  EXPECT_EQ(linears[1].out_features, 8);
  EXPECT_EQ(linears[1].in_features, 12);
  EXPECT_TRUE(linears[1].bias);
  EXPECT_FALSE(linears[0].bias);
  EXPECT_EQ(linears[6].name, "model.layers.3.mlp.down_proj");
  EXPECT_EQ(linears[6].in_features, 20);
}

// A consumer's input width is its site's width, for every role.
TEST(SiteGraph, WidthsAgreeWithTheLinears) {
  const Architecture a = gqa();
  const auto linears = block_linears(a, 0);
  for (const SiteSpec& site : site_graph(a)) {
    for (const Role role : site.consumers)
      EXPECT_EQ(linears[static_cast<size_t>(role)].in_features, site.width) << site_name(site.site);
  }
}

}  // namespace
}  // namespace qbench::models
