#include "tasks/core/template.h"

#include "tests/unit/tasks/task_test_support.h"

namespace qbench::tasks {
namespace {

const OrderedJson& record() {
  static const OrderedJson json =
      OrderedJson::parse(R"({"goal": "Open a jar", "label": 1, "n": "2", "key": "B",
    "choices": {"text": ["x", "Y z"], "label": ["A", "B"]}, "s": "The _ is  hot [note] now.", "list": ["a ", " b"]})");
  return json;
}

std::string render(const std::string& text) { return Template(text, "t.yaml: context").render(record()); }

TEST(Template, FillsInFieldsAndNestedFields) {
  EXPECT_EQ(render("Question: {{goal}}\nAnswer: {{choices.text.1}}"), "Question: Open a jar\nAnswer: Y z");
  EXPECT_EQ(render("no field"), "no field");
  EXPECT_EQ(render("{{label}}"), "1");
}

TEST(Template, AppliesFiltersInOrder) {
  EXPECT_EQ(render(R"({{s|before("_")}}{{key}})"), "The B");
  EXPECT_EQ(render(R"({{s|after("_")|trim}})"), "is  hot [note] now.");
  EXPECT_EQ(render(R"({{s|delete_spans("[", "]")|replace("  ", " ")}})"), "The _ is hot now.");
  EXPECT_EQ(render("{{goal|lower|capitalize}} {{goal|drop_last}}"), "Open a jar Open a ja");
  EXPECT_EQ(render(R"({{key|map("A", "first", "B", "second")}})"), "second");
}

TEST(Template, ValuesKeepTheirType) {
  EXPECT_EQ(Template("{{choices.text}}", "t").value(record()).size(), 2U);
  EXPECT_EQ(Template("{{key|index_in(choices.label)}}", "t").value(record()).get<int>(), 1);
  EXPECT_EQ(Template("{{n|add(-1)}}", "t").value(record()).get<int>(), 1);
  EXPECT_EQ(Template("{{list|each(trim)}}", "t").value(record()).get<std::vector<std::string>>(),
            (std::vector<std::string>{"a", "b"}));
}

TEST(Template, MistakesInTheFileAreFoundBeforeAnyRecordIsRead) {
  EXPECT_THAT(message_of([] { Template("{{goal|trimm}}", "t.yaml:3: context"); }),
              HasSubstr("Did you mean \"trim\"?"));
  EXPECT_THAT(message_of([] { Template("{{goal", "t.yaml:3: context"); }), HasSubstr("t.yaml:3"));
  EXPECT_THAT(message_of([] { Template("{{}}", "t"); }), HasSubstr("names no field"));
  EXPECT_THAT(message_of([] { Template("{{goal|replace(\"a\")}}", "t"); }), HasSubstr("expected 2"));
  EXPECT_THAT(message_of([] { Template("{{goal|map(\"a\")}}", "t"); }), HasSubstr("pairs"));
}

TEST(Template, AFieldThatIsNotThereListsThoseThatAre) {
  const std::string message = message_of([] { render("{{gaol}}"); });
  EXPECT_THAT(message, HasSubstr("Did you mean \"goal\"?"));
  EXPECT_THAT(message, HasSubstr("label"));
  EXPECT_THAT(message_of([] { render("{{choices}}"); }), HasSubstr("expected text or a number"));
}

}  // namespace
}  // namespace qbench::tasks
