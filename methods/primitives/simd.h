// Marks a kernel that is compiled for several instruction sets; the best one for the machine is chosen when
// the program starts. Within one machine results are always the same; between machines only fused
// multiply-adds differ.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define QB_SIMD __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define QB_SIMD
#endif
