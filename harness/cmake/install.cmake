# `cmake --install build --prefix DIR` gives DIR/bin/qbench, DIR/bin/qbench-worker and DIR/share/qbench, which share_dir()
# finds from the program's own place. share/qbench mirrors the source tree and holds what is read at run time: YAML, task
# and corpus data, notices. Included after the folders, so that the targets exist.
include(GNUInstallDirs)

foreach(program qbench qbench-worker)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()

foreach(folder tasks suites harness/data)
  if(NOT IS_DIRECTORY ${PROJECT_SOURCE_DIR}/${folder})
    continue()
  endif()
  get_filename_component(parent ${folder} DIRECTORY)
  install(DIRECTORY ${folder} DESTINATION ${CMAKE_INSTALL_DATADIR}/qbench/${parent}
          FILES_MATCHING PATTERN "*.yaml" PATTERN "*.json" PATTERN "*.jsonl" PATTERN "*.txt" PATTERN "*.zst"
          PATTERN "NOTICE*" PATTERN "LICENSE*"
          PATTERN "CMakeLists.txt" EXCLUDE)
endforeach()
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/qbench)
