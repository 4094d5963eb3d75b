// Items of a step as two compressed blobs (zstd over CBOR, so that NaN and infinities survive).
#pragma once

#include <span>
#include <string>

#include "results/store.h"

namespace qbench::results {

std::string pack_items(std::span<const ItemRow> items);
/// @throws StoreError  the blob is damaged.
std::vector<ItemRow> unpack_items(std::string_view blob);

std::string pack_columns(std::span<const ItemRow> items);
/// @throws StoreError  the blob is damaged.
ItemColumns unpack_columns(std::string_view blob);

}  // namespace qbench::results
