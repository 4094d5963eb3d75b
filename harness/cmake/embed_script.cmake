# Run by qbench_embed: writes OUTPUT with the INPUTS (separated by |) as raw string literals.
string(REPLACE "|" ";" files "${INPUTS}")
set(entries "")
foreach(file IN LISTS files)
  file(READ "${file}" content)
  get_filename_component(name "${file}" NAME)
  string(APPEND entries "      {\"${name}\", std::string_view(R\"qb_embed(${content})qb_embed\")},\n")
endforeach()
file(WRITE "${OUTPUT}" "#include <string_view>
#include <utility>
#include <vector>

namespace ${NAMESPACE} {

const std::vector<std::pair<std::string_view, std::string_view>>& ${NAME}();
const std::vector<std::pair<std::string_view, std::string_view>>& ${NAME}() {
  static const std::vector<std::pair<std::string_view, std::string_view>> all = {
${entries}  };
  return all;
}

}  // namespace ${NAMESPACE}
")
