// SmoothQuant and AWQ against what the official programs gave on a tiny model and on real slices. Cases of
// families that are not supported yet are counted and printed. Every case file with the same layout works.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <iostream>

#include "harness/core/files.h"
#include "harness/engine/model.h"
#include "harness/engine/reference.h"
#include "harness/models/safetensors.h"
#include "methods/core/fp_statistics.h"
#include "methods/core/lab.h"
#include "methods/core/registry.h"
#include "methods/core/runner.h"
#include "methods/core/sample_packs.h"
#include "tests/support/fixtures.h"

namespace qbench::methods {
namespace {

using models::Role;
using models::Site;
using Path = std::filesystem::path;

at::Tensor load(const models::SafetensorsFile& file, const std::string& name) {
  const models::SafetensorsEntry* entry = file.find(name);
  if (entry == nullptr) throw std::runtime_error(file.path().string() + ": no tensor " + name);
  at::Tensor out = at::empty(entry->shape, at::kFloat);
  file.read_float(*entry, {out.data_ptr<float>(), static_cast<size_t>(out.numel())});
  return out;
}

double relative_l2(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).to(at::kDouble).norm() / b.to(at::kDouble).norm()).item<double>();
}

double relative_max(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs() / b.abs().clamp_min(1e-12)).max().item<double>();
}

/// A tiny model of the fixtures with its calibration ids.
struct TinyModel {
  std::unique_ptr<engine::Model> model;
  std::vector<std::vector<int32_t>> samples;

  static TinyModel load_from(const Path& folder) {
    TinyModel tiny;
    tiny.model = engine::Model::load(models::Checkpoint::open(models::resolve_model(folder.string())));
    const models::SafetensorsFile calibration(folder / "calib_and_logits.safetensors");
    const std::vector<int64_t> ids = calibration.integers("input_ids");
    const int64_t length = calibration.find("input_ids")->shape.at(1);
    for (size_t i = 0; i < ids.size(); i += static_cast<size_t>(length)) {
      tiny.samples.emplace_back(ids.begin() + static_cast<int64_t>(i),
                                ids.begin() + static_cast<int64_t>(i) + length);
    }
    return tiny;
  }
};

struct Area {
  Path root;
  Json json;
  models::SafetensorsFile file;
  Area(const Path& folder, const std::string& method)
      : root(folder),
        json(Json::parse(read_text_file(folder / (method + ".json")))),
        file(folder / (method + ".safetensors")) {}

  at::Tensor out(const std::string& id, const std::string& name) const {
    return load(file, id + ".out." + name);
  }
  /// The folder of a model of the fixtures: the area's own, or the project's copy.
  Path model_folder(const std::string& name) const {
    const Path own = root / "models" / name;
    return std::filesystem::exists(own)
               ? own
               : testing_support::source_dir() / "tests/golden/methods_transform/models" / name;
  }
};

/// Is it of a family that this program cannot load yet?
bool unsupported(const Area& area, const std::string& model) {
  const Path config = area.model_folder(model) / "config.json";
  return !std::filesystem::exists(config) ||
         Json::parse(read_text_file(config)).value("model_type", "") != "llama";
}

void for_each_area(const std::string& method, const std::function<void(const Area&)>& run) {
  for (const Path& root : testing_support::golden_roots("methods_transform")) {
    if (std::filesystem::exists(root / (method + ".json"))) run(Area(root, method));
  }
}

/// Applies the transforms of a recipe to every block up to `last`, with all samples, and leaves the weights
/// unrounded.
void transform_blocks(TinyModel& tiny, const Recipe& recipe, const Scheme& scheme, int64_t last,
                      Json& detail) {
  const Lanes lanes(2);
  const FpStatistics statistics = gather_fp_statistics(*tiny.model, tiny.samples, lanes);
  PassContext context;
  context.scheme = scheme;
  context.lanes = &lanes;
  const SamplePack pack = pack_samples(tiny.samples, 1 << 20).front();
  at::Tensor x = engine::embed(*tiny.model, pack.ids);
  for (int64_t layer = 0; layer <= last; ++layer) {
    engine::Block& block = tiny.model->blocks[static_cast<size_t>(layer)];
    BlockView view{*tiny.model, block, statistics.blocks[static_cast<size_t>(layer)], {}, {pack.lengths}};
    engine::BlockCursor cursor(*tiny.model, block, x, pack.lengths);
    for (; !cursor.done(); cursor.advance()) view.inputs_of(cursor.site()) = {cursor.input()};
    x = cursor.output();
    for (const Call& call : recipe.passes) {
      const std::unique_ptr<Pass> pass = find_spec(call.name).make(call);
      if (const auto* transform = dynamic_cast<const Transform*>(pass.get()))
        detail = transform->apply(view, context);
    }
  }
}

Recipe recipe_of(const std::string& text) { return parse_recipe(text, registered_methods()); }

/// "model.layers.0.self_attn.q_proj" -> the linear.
engine::Linear& linear_named(engine::Model& model, const std::string& name) {
  for (engine::Block& block : model.blocks) {
    for (engine::Linear& linear : block.linears) {
      if (linear.name == name) return linear;
    }
  }
  throw std::runtime_error("no linear " + name);
}

std::string dotted(std::string name) {
  std::replace(name.begin(), name.end(), '/', '.');
  return name;
}

/// A parameter by its Hugging Face name.
at::Tensor parameter(engine::Model& model, const std::string& name) {
  if (name == "model.norm.weight") return model.final_norm.weight;
  for (engine::Block& block : model.blocks) {
    const std::string prefix = "model.layers." + std::to_string(block.index) + ".";
    if (name == prefix + "input_layernorm.weight") return block.attention_norm.weight;
    if (name == prefix + "post_attention_layernorm.weight") return block.mlp_norm.weight;
  }
  return linear_named(model, name.substr(0, name.rfind('.'))).weight;
}

// --- SmoothQuant ---

void check_act_scales(const Area& area, const std::string& id, const Json& c) {
  TinyModel tiny = TinyModel::load_from(area.model_folder(c.at("params").at("model")));
  const FpStatistics statistics = gather_fp_statistics(*tiny.model, tiny.samples, Lanes(2));
  for (const std::string name : c.at("out")) {
    for (const models::SiteSpec& site : tiny.model->sites()) {
      for (const Role role : site.consumers) {
        for (size_t b = 0; b < statistics.blocks.size(); ++b) {
          if (tiny.model->blocks[b].linear(role).name != dotted(name)) continue;
          EXPECT_LE(
              relative_max(statistics.blocks[b][static_cast<size_t>(site.site)].absmax, area.out(id, name)),
              1e-5)
              << name;
        }
      }
    }
  }
}

void check_smooth(const Area& area, const std::string& id, const Json& c) {
  TinyModel tiny = TinyModel::load_from(area.model_folder(c.at("params").at("model")));
  const at::Tensor before =
      engine::logits(*tiny.model, engine::hidden_states(*tiny.model, tiny.samples.front(), {64}));
  Json detail;
  transform_blocks(tiny, recipe_of("smoothquant(alpha=" + print_number(c.at("params").at("alpha")) + ")"),
                   parse_scheme("w8a8"), static_cast<int64_t>(tiny.model->blocks.size()) - 1, detail);
  for (const std::string name : c.at("out")) {
    EXPECT_LE(relative_l2(parameter(*tiny.model, dotted(name)), area.out(id, name)), 1e-5) << name;
  }
  const at::Tensor after =
      engine::logits(*tiny.model, engine::hidden_states(*tiny.model, tiny.samples.front(), {64}));
  EXPECT_LE((after - before).abs().max().item<double>(), 1e-4);
}

/// The forward of the official fake-quantized model: optionally the outputs of q, k and v are quantized as
/// well.
at::Tensor forward_fake_quant(const engine::Model& model, const std::vector<int32_t>& ids,
                              const engine::ActivationQuantizer& quantizer, bool quantize_bmm) {
  namespace ref = engine::reference;
  const engine::SequenceLengths lengths = {static_cast<int64_t>(ids.size())};
  at::Tensor x = engine::embed(model, ids);
  const auto quantized = [&](const at::Tensor& t) { return engine::quantize_activation(t, quantizer); };
  const auto bmm = [&](const at::Tensor& t) { return quantize_bmm ? quantized(t) : t; };
  for (const engine::Block& block : model.blocks) {
    const at::Tensor in = quantized(ref::rms_norm(x, block.attention_norm));
    const at::Tensor q = bmm(ref::apply(block.linear(Role::kQ), in)),
                     k = bmm(ref::apply(block.linear(Role::kK), in)),
                     v = bmm(ref::apply(block.linear(Role::kV), in));
    x = x +
        ref::apply(block.linear(Role::kO), quantized(ref::attention(model.architecture(), q, k, v, lengths)));
    const at::Tensor m = quantized(ref::rms_norm(x, block.mlp_norm));
    const at::Tensor act =
        ref::gated(model.architecture().activation, ref::apply(block.linear(Role::kGate), m),
                   ref::apply(block.linear(Role::kUp), m));
    x = x + ref::apply(block.linear(Role::kDown), quantized(act));
  }
  return engine::logits(model, ref::rms_norm(x, model.final_norm));
}

void check_w8a8(const Area& area, const std::string& id, const Json& c) {
  const Json& params = c.at("params");
  TinyModel tiny = TinyModel::load_from(area.model_folder(params.at("model")));
  const at::Tensor fp =
      engine::logits(*tiny.model, engine::hidden_states(*tiny.model, tiny.samples.front(), {64}));
  const Scheme scheme = parse_scheme(params.at("weight_quant") == "per_tensor" ? "w8a8-tensor" : "w8a8");
  const FpStatistics statistics = gather_fp_statistics(*tiny.model, tiny.samples, Lanes(2));
  const std::string recipe = params.at("alpha").is_null()
                                 ? "rtn(grid=awq)"
                                 : "smoothquant(alpha=" + print_number(params.at("alpha")) + ")";
  quantize_model(*tiny.model, recipe_of(recipe), scheme, tiny.samples, &statistics, 0, Lanes(2));
  engine::ActivationQuantizer quantizer{8, params.at("act_quant") == "per_token", true};
  const bool quantize_bmm = params.at("quantize_bmm_input");
  const at::Tensor logits = forward_fake_quant(*tiny.model, tiny.samples.front(), quantizer, quantize_bmm);
  const at::Tensor expected = area.out(id, "logits");
  EXPECT_LE(relative_l2(logits.slice(0, 0, expected.size(0)), expected), 2e-2);
  if (!quantize_bmm && quantizer.per_token) {
    // What a user gets: the model's own forward with the scheme's activation quantizers.
    const at::Tensor own =
        engine::logits(*tiny.model, engine::hidden_states(*tiny.model, tiny.samples.front(), {64}));
    EXPECT_LE(relative_l2(own.slice(0, 0, expected.size(0)), expected), 2e-2);
  }
}

TEST(GoldenSmoothQuant, GivesTheOfficialStatisticsNormsAndLogits) {
  int covered = 0, not_covered = 0;
  for_each_area("smoothquant", [&](const Area& area) {
    for (const auto& [id, c] : area.json.at("cases").items()) {
      SCOPED_TRACE(area.root.string() + " " + id);
      if (unsupported(area, c.at("params").at("model")) || id.find("static_scales") != std::string::npos) {
        ++not_covered;
        continue;
      }
      ++covered;
      if (id.find("act_scales") != std::string::npos) {
        check_act_scales(area, id, c);
      } else if (id.find(".smooth.") != std::string::npos) {
        check_smooth(area, id, c);
      } else {
        check_w8a8(area, id, c);
      }
    }
  });
  std::cout << "smoothquant: " << covered << " cases, " << not_covered
            << " not covered (OPT is not supported yet; static scales)\n";
  EXPECT_GT(covered, 0);
}

// --- AWQ ---

Scheme awq_scheme(const Json& params) {
  Scheme scheme;
  scheme.weight_bits = params.at("w_bit");
  scheme.granularity = Granularity::kGroup;
  scheme.group = params.contains("q_group_size") ? params.at("q_group_size") : params.at("group_size");
  scheme.symmetric = !params.value("zero_point", true);
  return scheme;
}

/// The two smallest losses are further apart than rounding can move them.
bool clear_winner(const std::vector<double>& losses) {
  std::vector<double> sorted = losses;
  std::sort(sorted.begin(), sorted.end());
  return sorted.size() < 2 || sorted[1] - sorted[0] > 1e-4 * sorted[0];
}

void check_search(const Json& ours, const Json& expected) {
  const auto losses = ours.at("losses").get<std::vector<double>>();
  const auto history = expected.at("history").get<std::vector<double>>();
  ASSERT_EQ(losses.size(), history.size());
  for (size_t i = 0; i < losses.size(); ++i)
    EXPECT_NEAR(losses[i], history[i], 1e-3 * history[i]) << "ratio " << i;
  if (clear_winner(history)) {
    EXPECT_NEAR(ours.at("ratio").get<double>(), expected.at("best_ratio").get<double>(), 1e-9);
  }
}

/// Largest magnitude per slice of a clipped weight = the limit it was clipped to. [rows, slices]
at::Tensor limits_of(const at::Tensor& w, int64_t group) {
  return w.reshape({w.size(0), -1, group}).abs().amax(2);
}

void check_limits(const at::Tensor& ours, const at::Tensor& expected) {
  const at::Tensor off =
      (ours - expected.reshape(ours.sizes())).abs() > 1e-5 * expected.reshape(ours.sizes()).abs();
  // A scale that differs in its last bit moves weights across rounding ties, and with them the best of two
  // near limits.
  EXPECT_LE(off.to(at::kDouble).mean().item<double>(), 0.03);
}

const std::map<std::string, Site> kSiteNames = {{"qkv", Site::kQkvIn},
                                                {"gateup", Site::kGateUpIn},
                                                {"down", Site::kDownIn},
                                                {"input_layernorm", Site::kQkvIn},
                                                {"post_attention_layernorm", Site::kGateUpIn},
                                                {"mlp.up_proj", Site::kDownIn}};

/// s of a site = how much the columns of a linear that reads it grew.
at::Tensor folded_scale(const engine::Block& before, const engine::Block& after, Site site) {
  if (site == Site::kQkvIn) return before.attention_norm.weight / after.attention_norm.weight;
  if (site == Site::kGateUpIn) return before.mlp_norm.weight / after.mlp_norm.weight;
  const at::Tensor ratio = after.linear(Role::kDown).weight / before.linear(Role::kDown).weight;
  return std::get<0>(ratio.median(0));
}

const Json* find_search(const Json& searches, const std::string& key, const std::string& value) {
  for (const Json& search : searches) {
    if (search.value(key, "") == value) return &search;
  }
  return nullptr;
}

void check_awq_scales(const Area& area, const std::string& id, const Json& c, const std::string& family) {
  const Json& params = c.at("params");
  const int64_t layer = params.at("layer");
  TinyModel tiny = TinyModel::load_from(area.model_folder(params.at("model")));
  const engine::Block before = tiny.model->blocks[static_cast<size_t>(layer)];
  Json detail;
  transform_blocks(tiny, recipe_of("awq(clip=false,search_tokens=0,family=" + family + ")"),
                   awq_scheme(params), layer, detail);
  const engine::Block& after = tiny.model->blocks[static_cast<size_t>(layer)];
  for (const std::string name : c.at("out")) {
    if (!name.starts_with("scale/")) continue;
    const std::string producer = name.substr(6);
    const Site site = kSiteNames.at(producer);
    const Json* search =
        find_search(c.at("info").at("search"), params.at("repo") == "AutoAWQ" ? "site" : "prev", producer);
    ASSERT_NE(search, nullptr) << name;
    check_search(detail.at(std::string(models::site_name(site))), *search);
    if (!clear_winner(search->at("history"))) continue;
    EXPECT_LE(relative_max(folded_scale(before, after, site), area.out(id, name)), 2e-5) << name;
  }
}

void check_awq_clip(const Area& area, const std::string& id, const Json& c, const std::string& family) {
  const Json& params = c.at("params");
  const int64_t layer = params.at("layer");
  const Scheme scheme = awq_scheme(params);
  TinyModel tiny = TinyModel::load_from(area.model_folder(params.at("model")));
  Json detail;
  // AutoAWQ's case clips the unscaled weight.
  transform_blocks(
      tiny, recipe_of("awq(search_tokens=0,family=" + (params.contains("clip_note") ? "off" : family) + ")"),
      scheme, layer, detail);
  const std::string prefix = "model.layers." + std::to_string(layer) + ".";
  for (const std::string name : c.at("out")) {
    if (name.starts_with("clip_max/")) {
      check_limits(limits_of(linear_named(*tiny.model, prefix + name.substr(9)).weight, scheme.group),
                   area.out(id, name));
    } else if (name.starts_with("norm/")) {
      EXPECT_LE(relative_max(parameter(*tiny.model, prefix + name.substr(5)), area.out(id, name)), 2e-5)
          << name;
    } else if (name.starts_with("wq/")) {
      GridSpec grid;
      grid.bits = scheme.weight_bits;
      grid.symmetric = scheme.symmetric;
      grid.family = GridFamily::kAwq;
      const at::Tensor& w = linear_named(*tiny.model, prefix + name.substr(3)).weight;
      const at::Tensor rounded = round_to_nearest(w, slices_of(scheme), grid, Lanes(1), false).w_hat;
      const at::Tensor expected = area.out(id, name);
      const double moved =
          ((rounded - expected).abs() > 1e-4 * expected.abs().max()).to(at::kDouble).mean().item<double>();
      EXPECT_LE(moved, 0.01) << name;
    }
  }
}

/// One linear of a real model: the lab's way.
void check_awq_linear(const Area& area, const std::string& id, const Json& c) {
  const Json& params = c.at("params");
  const models::SafetensorsFile real(std::filesystem::exists(area.root / "real_l10.safetensors")
                                         ? area.root / "real_l10.safetensors"
                                         : testing_support::source_dir() /
                                               "tests/golden/methods_transform/real_l10.safetensors");
  const at::Tensor x = load(real, params.at("x"));
  at::Tensor w = load(real, params.at("w"));
  const Lanes lanes(2);
  PassContext context;
  context.scheme = awq_scheme(params);
  context.lanes = &lanes;
  const Recipe recipe = recipe_of("awq");
  const std::unique_ptr<Pass> pass = find_spec("awq").make(recipe.passes.front());
  Json detail;
  const at::Tensor s = dynamic_cast<const Transform&>(*pass).apply_to_linear(w, x, context, detail);
  check_search(detail.at("awq"), c.at("info"));
  EXPECT_LE(relative_max(s, area.out(id, "scale")), 1e-5);
  check_limits(limits_of(w, context.scheme.group), area.out(id, "clip_max"));
}

TEST(GoldenAwq, GivesTheOfficialLossesScalesAndLimits) {
  int covered = 0, not_covered = 0;
  for_each_area("awq", [&](const Area& area) {
    for (const auto& [id, c] : area.json.at("cases").items()) {
      SCOPED_TRACE(area.root.string() + " " + id);
      const Json& params = c.at("params");
      if (params.contains("model") && unsupported(area, params.at("model"))) {
        ++not_covered;
        continue;
      }
      ++covered;
      if (!params.contains("model")) {
        check_awq_linear(area, id, c);
        continue;
      }
      const std::string family = params.value("duo_scaling", false) ? "autoawq" : "llm-awq";
      check_awq_scales(area, id, c, family);
      check_awq_clip(area, id, c, family);
    }
  });
  std::cout << "awq: " << covered << " cases, " << not_covered << " not covered (OPT is not supported yet)\n";
  EXPECT_GT(covered, 0);
}

}  // namespace
}  // namespace qbench::methods
