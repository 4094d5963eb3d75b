// Templates over the fields of a JSON record: text with {{path|filter|filter(argument)}} in it. There is no
// code in a template: paths name fields, filters come from one closed list (tasks/README.md), nothing loops.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "harness/core/fields.h"

namespace qbench::tasks {

class Template {
 public:
  Template() = default;
  /// @param place  file and key, for messages. @throws ConfigError on bad syntax or an unknown filter
  /// (nearest name).
  Template(std::string_view text, std::string place);

  /// Numbers print as JSON does; lists and objects are refused.
  /// @throws DataError  a field that the record does not have (lists those it has), a filter on the wrong
  /// type.
  std::string render(const OrderedJson& record) const;
  /// The value itself when the template is a single {{...}} and nothing else; else the rendered text.
  OrderedJson value(const OrderedJson& record) const;

  static std::vector<std::string> filter_names();

 private:
  struct Filter {
    std::string name;
    std::vector<std::string> arguments;
  };
  struct Piece {
    std::string literal;            ///< text before the expression
    std::vector<std::string> path;  ///< empty for the last piece
    std::vector<Filter> filters;
  };
  Piece parse_expression(std::string_view text) const;
  OrderedJson evaluate(const Piece& piece, const OrderedJson& record) const;
  OrderedJson apply(const Filter& filter, OrderedJson value, const OrderedJson& record) const;
  const OrderedJson& look_up(const std::vector<std::string>& path, const OrderedJson& record) const;

  std::string place_;
  std::vector<Piece> pieces_;
};

}  // namespace qbench::tasks
