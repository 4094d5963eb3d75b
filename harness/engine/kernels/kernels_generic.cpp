#define QB_KERNEL_TABLE kGenericTable
#define QB_KERNEL_NAME "generic"
#define QB_KERNEL_ROWS 2
#define QB_KERNEL_VECTORS 1
#define QB_KERNEL_BLOCK 32
#include "harness/engine/kernels/kernels_impl.h"
