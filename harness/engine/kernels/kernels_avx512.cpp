// Compiled with AVX-512 F/DQ/VL/BW; used only where the CPU has them. 8 rows x 3 registers of accumulators.
#define QB_KERNEL_TABLE kAvx512Table
#define QB_KERNEL_NAME "avx512"
#define QB_KERNEL_ROWS 8
#define QB_KERNEL_VECTORS 3
#define QB_KERNEL_BLOCK 32
#include "harness/engine/kernels/kernels_impl.h"
