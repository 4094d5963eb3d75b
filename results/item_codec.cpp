#include "results/item_codec.h"

#include <fmt/format.h>
#include <zstd.h>

#include <cstdint>
#include <vector>

#include "harness/core/errors.h"

namespace qbench::results {
namespace {

constexpr int kLevel = 1;  // the step commit waits for it; higher levels gain under 10 % on such records
constexpr size_t kLargestRatio =
    size_t{1} << 15;  // a zstd block of 4 bytes yields 128 KiB: a damaged length claims more

std::string compress(const std::vector<uint8_t>& bytes) {
  std::string packed(ZSTD_compressBound(bytes.size()), '\0');
  const size_t size = ZSTD_compress(packed.data(), packed.size(), bytes.data(), bytes.size(), kLevel);
  QB_CHECK(!ZSTD_isError(size), ZSTD_getErrorName(size));
  packed.resize(size);
  return packed;
}

[[noreturn]] void damaged(std::string_view detail) {
  throw StoreError(fmt::format(
      "the item records of a step are damaged ({}); run `PRAGMA integrity_check` on the store and "
      "restore it from a copy, or measure again into a new store",
      detail));
}

Json decode(std::string_view blob) {
  const unsigned long long size = ZSTD_getFrameContentSize(blob.data(), blob.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN ||
      size > blob.size() * kLargestRatio)
    damaged("no zstd frame");
  std::vector<uint8_t> bytes(size);
  const size_t got = ZSTD_decompress(bytes.data(), bytes.size(), blob.data(), blob.size());
  if (ZSTD_isError(got) || got != bytes.size())
    damaged(ZSTD_isError(got) ? ZSTD_getErrorName(got) : "too short");
  try {
    return Json::from_cbor(bytes);
  } catch (const Json::exception& error) {
    damaged(error.what());
  }
}

bool is_numeric(const Json& value) { return value.is_number() || value.is_boolean(); }

double as_double(const Json& value) {
  return value.is_boolean() ? (value.get<bool>() ? 1.0 : 0.0) : value.get<double>();
}

std::vector<std::string> common_metrics(std::span<const ItemRow> items) {
  std::vector<std::string> names;
  if (items.empty() || !items.front().metrics.is_object()) return names;
  for (const auto& [name, value] : items.front().metrics.items()) {
    bool everywhere = true;
    for (const ItemRow& item : items) {
      const auto found = item.metrics.find(name);
      if (found == item.metrics.end() || !is_numeric(*found)) {
        everywhere = false;
        break;
      }
    }
    if (everywhere) names.push_back(name);
  }
  return names;
}

}  // namespace

std::string pack_items(std::span<const ItemRow> items) {
  Json all = Json::array();
  for (const ItemRow& item : items) {
    Json nll = item.nll ? Json(*item.nll) : Json(nullptr);
    all.push_back(Json::array(
        {item.item, item.loglikelihoods, std::move(nll), item.tokens, item.metrics, item.detail}));
  }
  return compress(Json::to_cbor(all));
}

std::vector<ItemRow> unpack_items(std::string_view blob) {
  const Json all = decode(blob);
  try {
    std::vector<ItemRow> items;
    items.reserve(all.size());
    for (const Json& record : all) {
      ItemRow& item = items.emplace_back();
      item.item = record.at(0).get<std::string>();
      item.loglikelihoods = record.at(1).get<std::vector<double>>();
      if (!record.at(2).is_null()) item.nll = record.at(2).get<double>();
      item.tokens = record.at(3).get<int64_t>();
      item.metrics = record.at(4);
      item.detail = record.at(5);
    }
    return items;
  } catch (const Json::exception& error) {
    damaged(error.what());
  }
}

std::string pack_columns(std::span<const ItemRow> items) {
  Json ids = Json::array(), tokens = Json::array(), nll = Json::array(), metrics = Json::object();
  bool all_have_nll = true;
  for (const ItemRow& item : items) {
    ids.push_back(item.item);
    tokens.push_back(item.tokens);
    all_have_nll = all_have_nll && item.nll.has_value();
  }
  if (all_have_nll) {
    for (const ItemRow& item : items) nll.push_back(*item.nll);
  }
  for (const std::string& name : common_metrics(items)) {
    Json& column = metrics[name] = Json::array();
    for (const ItemRow& item : items) column.push_back(as_double(item.metrics.at(name)));
  }
  return compress(Json::to_cbor(Json::array({ids, tokens, nll, metrics})));
}

ItemColumns unpack_columns(std::string_view blob) {
  const Json all = decode(blob);
  try {
    ItemColumns columns;
    columns.ids = all.at(0).get<std::vector<std::string>>();
    columns.tokens = all.at(1).get<std::vector<int64_t>>();
    columns.nll = all.at(2).get<std::vector<double>>();
    columns.metrics = all.at(3).get<std::map<std::string, std::vector<double>>>();
    const size_t count = columns.ids.size();
    bool even = columns.tokens.size() == count && (columns.nll.empty() || columns.nll.size() == count);
    for (const auto& [name, values] : columns.metrics) even = even && values.size() == count;
    if (!even) damaged("columns of unequal length");
    return columns;
  } catch (const Json::exception& error) {
    damaged(error.what());
  }
}

}  // namespace qbench::results
