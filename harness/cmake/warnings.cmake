# Warnings for our own targets only; third-party headers are SYSTEM.
add_library(qbench_warnings INTERFACE)
target_compile_options(qbench_warnings INTERFACE -Wall -Wextra -Wshadow -Wno-missing-field-initializers
                       $<$<BOOL:${QBENCH_WERROR}>:-Werror>)
