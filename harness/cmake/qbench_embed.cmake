# qbench_embed(TARGET t NAMESPACE qbench::x NAME files FILES a.sql b.css ...)
# Compiles text files into the target: a generated files.cpp defines
#   const std::vector<std::pair<std::string_view, std::string_view>>& files();   // file name, content, in the order given
# in the namespace; the caller declares it where it is used.
function(qbench_embed)
  cmake_parse_arguments(ARG "" "TARGET;NAMESPACE;NAME" "FILES" ${ARGN})
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${ARG_NAME}.cpp)
  list(TRANSFORM ARG_FILES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/ OUTPUT_VARIABLE inputs)
  list(JOIN inputs "|" joined)
  set(script ${PROJECT_SOURCE_DIR}/harness/cmake/embed_script.cmake)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} -DNAMESPACE=${ARG_NAMESPACE} -DNAME=${ARG_NAME} "-DINPUTS=${joined}" -P ${script}
    DEPENDS ${inputs} ${script}
    VERBATIM)
  target_sources(${ARG_TARGET} PRIVATE ${output})
endfunction()
