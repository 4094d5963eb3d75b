# Instrumented builds, chosen by the presets of CMakePresets.json.
#   QBENCH_SANITIZE   "address;undefined" or "thread"
#   QBENCH_COVERAGE   counters for gcov or llvm-cov
#   QBENCH_FUZZ       libFuzzer instrumentation (clang); programs come from qbench_add_fuzzer
set(QBENCH_SANITIZE "" CACHE STRING "Sanitizers: address;undefined or thread")
option(QBENCH_COVERAGE "Instrument for coverage" OFF)
option(QBENCH_FUZZ "Instrument for libFuzzer and build tests/fuzz (needs clang)" OFF)

if(QBENCH_SANITIZE)
  list(JOIN QBENCH_SANITIZE "," qbench_sanitizers)
  add_compile_options(-fsanitize=${qbench_sanitizers} -fno-omit-frame-pointer -fno-sanitize-recover=all -g)
  add_link_options(-fsanitize=${qbench_sanitizers})
endif()

if(QBENCH_COVERAGE)
  add_compile_options(--coverage -O0 -g)
  add_link_options(--coverage)
endif()

if(QBENCH_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "QBENCH_FUZZ needs clang (found ${CMAKE_CXX_COMPILER_ID}). "
                        "Use `cmake --preset fuzz`, which sets CMAKE_CXX_COMPILER=clang++.")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link -g)
endif()

# qbench_add_fuzzer(NAME config SOURCES config_fuzzer.cpp [LINK lib...])  ->  bin/fuzz_config, a libFuzzer program.
function(qbench_add_fuzzer)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;LINK" ${ARGN})
  if(NOT QBENCH_FUZZ)
    return()
  endif()
  add_executable(fuzz_${ARG_NAME} ${ARG_SOURCES})
  target_link_libraries(fuzz_${ARG_NAME} PRIVATE ${ARG_LINK} fmt::fmt qbench_warnings)
  target_link_options(fuzz_${ARG_NAME} PRIVATE -fsanitize=fuzzer)
endfunction()
