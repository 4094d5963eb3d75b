#include "harness/tokenizers/post_processor.h"

#include <algorithm>
#include <string>

#include "harness/tokenizers/vocabulary.h"

namespace qbench::tokenizers {
namespace {

int32_t token_id(const JsonNode& node) {
  const int64_t id = node.integer();
  if (id < 0 || id > kMaxTokenId) node.fail("a token id");
  return static_cast<int32_t>(id);
}

SpecialFrame parse_template(const JsonNode& node) {
  SpecialFrame frame;
  bool text_seen = false;
  for (const JsonNode& item : node.at("single").items()) {
    if (item.has("Sequence")) {
      if (text_seen) item.fail("one text per template");
      text_seen = true;
      continue;
    }
    const std::string name = item.at("SpecialToken").at("id").text();
    std::vector<int32_t>& side = text_seen ? frame.after : frame.before;
    for (const JsonNode& id : node.at("special_tokens").at(name.c_str()).at("ids").items())
      side.push_back(token_id(id));
  }
  if (!text_seen) node.at("single").fail("a template with the text in it");
  return frame;
}

SpecialFrame parse_cls_sep(const JsonNode& node) {
  const auto id = [&](const char* key) {
    const std::vector<JsonNode> pair = node.at(key).items();
    if (pair.size() != 2) node.at(key).fail("[token, id]");
    return token_id(pair[1]);
  };
  return {{id("cls")}, {id("sep")}};
}

}  // namespace

SpecialFrame parse_post_processor(const JsonNode& node) {
  const std::string type = node.at("type").text();
  if (type == "TemplateProcessing") return parse_template(node);
  if (type == "ByteLevel") return {};  // only moves offsets
  if (type == "BertProcessing" || type == "RobertaProcessing") return parse_cls_sep(node);
  if (type == "Sequence") {
    SpecialFrame whole;
    for (const JsonNode& item : node.at("processors").items()) {
      const SpecialFrame frame = parse_post_processor(item);
      whole.before.insert(whole.before.begin(), frame.before.begin(), frame.before.end());
      whole.after.insert(whole.after.end(), frame.after.begin(), frame.after.end());
    }
    return whole;
  }
  refuse_component(node, "post-processor", type,
                   {"TemplateProcessing", "ByteLevel", "BertProcessing", "RobertaProcessing", "Sequence"});
}

}  // namespace qbench::tokenizers
