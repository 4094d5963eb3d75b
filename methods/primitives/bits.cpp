#include "methods/primitives/bits.h"

#include <bit>

namespace qbench::methods {

Json BitLedger::json() const {
  return {{"parameters", parameters}, {"payload_bits", payload_bits}, {"scale_bits", scale_bits},
          {"zero_bits", zero_bits},   {"index_bits", index_bits},     {"nominal", nominal()},
          {"effective", effective()}};
}

BitLedger count_bits(const LedgerInput& input) {
  BitLedger ledger;
  ledger.parameters = input.rows * input.columns;
  ledger.payload_bits = static_cast<double>(ledger.parameters * input.bits);
  ledger.scale_bits = 16.0 * static_cast<double>(input.slices);
  if (!input.symmetric)
    ledger.zero_bits = static_cast<double>((input.real_zero ? 16 : input.bits) * input.slices);
  if (input.indexed_groups > 1) {
    const int width = std::bit_width(static_cast<uint64_t>(input.indexed_groups - 1));
    ledger.index_bits = static_cast<double>(input.columns * width);
  }
  return ledger;
}

}  // namespace qbench::methods
