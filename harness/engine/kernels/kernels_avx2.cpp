// Compiled with -mavx2 -mfma; used only where the CPU has both. 6 rows x 2 registers of accumulators.
#define QB_KERNEL_TABLE kAvx2Table
#define QB_KERNEL_NAME "avx2"
#define QB_KERNEL_ROWS 6
#define QB_KERNEL_VECTORS 1
#define QB_KERNEL_BLOCK 36
#include "harness/engine/kernels/kernels_impl.h"
