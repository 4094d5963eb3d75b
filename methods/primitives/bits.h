// The bit ledger of a quantized weight: what papers count (nominal) and what has to be stored (effective).
#pragma once

#include <cstdint>

#include "harness/core/fields.h"

namespace qbench::methods {

struct BitLedger {
  int64_t parameters = 0;
  double payload_bits = 0;  ///< codes
  double scale_bits = 0;    ///< float16 per slice
  double zero_bits = 0;     ///< per slice: 0 symmetric, `bits` for an integer zero point, 16 for a real one
  double index_bits = 0;    ///< column order that cannot be folded away, per column

  double nominal() const { return parameters == 0 ? 0 : payload_bits / static_cast<double>(parameters); }
  double effective() const {
    return parameters == 0
               ? 0
               : (payload_bits + scale_bits + zero_bits + index_bits) / static_cast<double>(parameters);
  }
  Json json() const;
};

struct LedgerInput {
  int64_t rows = 0, columns = 0;
  int64_t bits = 16;
  int64_t slices = 0;  ///< scales stored
  bool symmetric = true;
  bool real_zero = false;      ///< some slice has a real zero point
  int64_t indexed_groups = 0;  ///< > 0: every column stores which of this many groups it belongs to
};

/// rtn.md and gptq.md, section 6.
BitLedger count_bits(const LedgerInput& input);

}  // namespace qbench::methods
