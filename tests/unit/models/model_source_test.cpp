#include "harness/models/model_source.h"

#include <gmock/gmock.h>

#include "harness/core/errors.h"
#include "tests/unit/models/scratch_folder.h"

namespace qbench::models {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

/// QBENCH_HOME and the hub cache point into the scratch folder.
class ResolveModel : public ScratchFolder {
 protected:
  ResolveModel()
      : home_("QBENCH_HOME", (dir_ / "home").c_str()), hub_("HF_HUB_CACHE", (dir_ / "hub").c_str()) {}
  static std::string refusal(const std::string& text) {
    return message_of<DataError>([&] { (void)resolve_model(text); });
  }
  ScopedVariable home_, hub_;
};

TEST_F(ResolveModel, FindsFoldersAndFilesByPath) {
  write("m/config.json", "{}");
  write("one/x.gguf", "");
  const ModelSource folder = resolve_model((dir_ / "m").string());
  EXPECT_EQ(folder.kind, SourceKind::kHuggingFace);
  EXPECT_EQ(folder.path, dir_ / "m");
  EXPECT_EQ(folder.name, (dir_ / "m").string());
  EXPECT_EQ(resolve_model((dir_ / "one/x.gguf").string()).kind, SourceKind::kGguf);
  EXPECT_EQ(resolve_model((dir_ / "one").string()).path, dir_ / "one/x.gguf");
}

TEST_F(ResolveModel, FindsNamesOfTheModelFolder) {
  write("home/models/hf/config.json", "{}");
  write("home/models/smollm2-135m/Smol.Q4_1.gguf", "");
  write("home/models/loose.gguf", "");
  EXPECT_EQ(resolve_model("hf").path, dir_ / "home/models/hf");
  EXPECT_EQ(resolve_model("smollm2-135m").path, dir_ / "home/models/smollm2-135m/Smol.Q4_1.gguf");
  EXPECT_EQ(resolve_model("loose").path, dir_ / "home/models/loose.gguf");
  EXPECT_THAT(refusal("smollm2-153m"), AllOf(HasSubstr("Did you mean \"smollm2-135m\"?"),
                                             HasSubstr("hf, loose, smollm2-135m"), HasSubstr("QBENCH_HOME")));
}

TEST_F(ResolveModel, PathsMayHoldSpacesAndParentheses) {
  write("my model (copy)/config.json", "{}");
  write("odd (a=b)/config.json", "{}");
  EXPECT_EQ(resolve_model((dir_ / "my model (copy)").string()).path, dir_ / "my model (copy)");
  EXPECT_EQ(resolve_model((dir_ / "odd (a=b)").string()).path, dir_ / "odd (a=b)");
  const ModelSource both = resolve_model((dir_ / "my model (copy)").string() + "(dequantize=dither,seed=4)");
  EXPECT_EQ(both.path, dir_ / "my model (copy)");
  EXPECT_EQ(both.dither_seed, 4U);
}

TEST_F(ResolveModel, ArgumentsChooseTheDequantization) {
  write("home/models/a.gguf", "");
  const ModelSource source = resolve_model("a(dequantize=dither, seed=3)");
  EXPECT_EQ(source.dequantize, Dequantize::kDither);
  EXPECT_EQ(source.dither_seed, 3U);
  EXPECT_EQ(source.name, "a(dequantize=dither, seed=3)");
  EXPECT_EQ(resolve_model("a(dequantize=exact)").dequantize, Dequantize::kExact);
  EXPECT_EQ(resolve_model("a()").dequantize, Dequantize::kExact);
  EXPECT_THAT(message_of<ConfigError>([] { (void)resolve_model("a(dequantise=dither)"); }),
              HasSubstr("dequantize"));
  EXPECT_THROW(resolve_model("a(dequantize=noise)"), ConfigError);
  EXPECT_THROW(resolve_model("a(seed=-1)"), ConfigError);
}

TEST_F(ResolveModel, HubIdsAreLookedUpInTheLocalCache) {
  write("hub/models--org--name/refs/main", "abc123\n");
  write("hub/models--org--name/snapshots/abc123/config.json", "{}");
  write("hub/models--org--name/snapshots/def456/config.json", "{}");
  EXPECT_EQ(resolve_model("hf:org/name").path, dir_ / "hub/models--org--name/snapshots/abc123");
  EXPECT_EQ(resolve_model("hf:org/name@def456").path, dir_ / "hub/models--org--name/snapshots/def456");
  EXPECT_THAT(refusal("hf:org/nmae"), AllOf(HasSubstr("Did you mean \"hf:org/name\"?"),
                                            HasSubstr("hf download org/nmae"), HasSubstr("never downloads")));
  EXPECT_THAT(refusal("hf:org/name@v2"), HasSubstr("--revision v2"));
  EXPECT_THAT(refusal("hf:name"), HasSubstr("expected hf:org/name"));
  EXPECT_THAT(refusal("hf:../name"), HasSubstr("expected hf:org/name"));
}

TEST_F(ResolveModel, AReferenceCannotLeaveTheCache) {
  write("hub/models--org--name/refs/main", "../../../m");
  write("m/config.json", "{}");
  EXPECT_THAT(refusal("hf:org/name"), HasSubstr("is not in the local hub cache"));
}

TEST_F(ResolveModel, HfHomeIsTheOlderWayToNameTheCache) {
  const ScopedVariable none("HF_HUB_CACHE", nullptr), older("HUGGINGFACE_HUB_CACHE", nullptr);
  const ScopedVariable home("HF_HOME", (dir_ / "hfhome").c_str());
  write("hfhome/hub/models--o--n/refs/main", "c1");
  write("hfhome/hub/models--o--n/snapshots/c1/config.json", "{}");
  EXPECT_EQ(resolve_model("hf:o/n").path, dir_ / "hfhome/hub/models--o--n/snapshots/c1");
}

TEST_F(ResolveModel, AnAmbiguousOrEmptyFolderSaysSo) {
  write("two/a.gguf", "");
  write("two/b.gguf", "");
  write("none/readme.txt", "");
  EXPECT_THAT(refusal((dir_ / "two").string()), HasSubstr("holds 2 .gguf files; name one"));
  EXPECT_THAT(refusal((dir_ / "none").string()), HasSubstr("neither config.json nor a .gguf"));
  EXPECT_THAT(refusal((dir_ / "missing").string()), HasSubstr("no such path"));
  EXPECT_THAT(refusal(""), HasSubstr("holds no models"));
}

}  // namespace
}  // namespace qbench::models
