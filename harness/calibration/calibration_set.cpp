#include "harness/calibration/calibration_set.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/calibration/samplers.h"
#include "harness/core/errors.h"
#include "harness/core/hash.h"
#include "harness/data/text.h"

namespace qbench::calibration {
namespace {

/// What every source takes.
struct SampleParams {
  int64_t samples = 128;
  int64_t length = 2048;
  int64_t seed = 0;

  template <class Visitor>
  void visit(Visitor& v) {
    v("samples", samples, Range{1, 1000000}, "number of samples");
    v("length", length, Range{2, 1048576}, "tokens per sample");
    v("seed", seed, Range{0.0, 4294967295.0}, "seed of Python's random.Random");
  }
};

/// Sources with a text behind them.
struct TextParams : SampleParams {
  std::string sampler = "random";
  std::string split;
  std::string join = "default";
  std::string file;

  template <class Visitor>
  void visit(Visitor& v) {
    SampleParams::visit(v);
    v("sampler", sampler, OneOf{{"windows", "random", "documents", "random_documents"}},
      "windows: consecutive; random: seeded starts in the whole text (GPTQ, WikiText-2); documents: whole "
      "documents; "
      "random_documents: a seeded start in a seeded document (GPTQ, C4)");
    v("split", split, "split of the data set; empty: train");
    v("join", join, OneOf{{"default", "none", "rows", "sentences", "spaces"}}, "how lines become one string");
    v("file", file, "the text file, instead of looking the set up");
  }
};

struct JsonlParams : TextParams {
  std::string field = "text";

  template <class Visitor>
  void visit(Visitor& v) {
    TextParams::visit(v);
    v("field", field, "text field of each JSON record");
  }
};

enum class Kind { kDataSet, kFile, kJsonl, kPython, kTokens, kAscii };

struct Source {
  SourceInfo info;
  Kind kind = Kind::kDataSet;
};

/// C4 is sampled per document in the papers; every other text as one stream.
std::string default_sampler(const std::string& name) { return name == "c4" ? "random_documents" : "random"; }

std::vector<FieldSpec> text_fields(const std::string& name) {
  auto fields = field_specs<TextParams>();
  for (FieldSpec& field : fields) {
    if (field.key == "sampler") field.default_value = default_sampler(name);
    if (field.key == "split") field.default_value = "train";
  }
  return fields;
}

std::vector<Source> make_sources() {
  std::vector<Source> sources;
  for (const data::DataSet& set : data::data_sets()) {
    if (set.kind == "text")
      sources.push_back({{set.name, set.summary, text_fields(set.name)}, Kind::kDataSet});
  }
  const auto without_split = [](std::vector<FieldSpec> fields) {
    std::erase_if(fields, [](const FieldSpec& field) { return field.key == "split"; });
    return fields;
  };
  sources.push_back(
      {{"text", "any text file (file=PATH)", without_split(field_specs<TextParams>())}, Kind::kFile});
  sources.push_back({{"jsonl", "one field of a JSON-lines file (file=PATH, field=NAME)",
                      without_split(field_specs<JsonlParams>())},
                     Kind::kJsonl});
  sources.push_back({{"python_source", "source code: the standard library of the machine's Python",
                      without_split(field_specs<TextParams>())},
                     Kind::kPython});
  sources.push_back({{"random_tokens", "token ids drawn uniformly from the vocabulary without special tokens",
                      field_specs<SampleParams>()},
                     Kind::kTokens});
  sources.push_back(
      {{"random_ascii", "uniformly random printable ASCII, tokenised", field_specs<SampleParams>()},
       Kind::kAscii});
  return sources;
}

const std::vector<Source>& sources() {
  static const std::vector<Source> all = make_sources();
  return all;
}

struct Parsed {
  const Source* source = nullptr;
  Call canonical;
  std::vector<std::pair<std::string, std::string>> values;  ///< every parameter after defaults

  const std::string& value(std::string_view key) const {
    static const std::string none;
    for (const auto& [name, text] : values) {
      if (name == key) return text;
    }
    return none;
  }
};

const Source& find_source(const std::string& name) {
  std::vector<std::string> names;
  for (const Source& source : sources()) {
    if (source.info.name == name) return source;
    names.push_back(source.info.name);
  }
  throw ConfigError(
      fmt::format("unknown calibration set \"{}\".{} `qbench describe calibration` lists them: {}.", name,
                  did_you_mean(name, names), fmt::join(names, ", ")));
}

Parsed parse_spec(const std::string& spec) {
  const Call call = parse_call(spec, "calibration set");
  Parsed parsed;
  parsed.source = &find_source(call.name);
  parsed.values = check_call(parsed.source->info.fields, call, "calibration set");
  parsed.canonical.name = call.name;
  for (size_t i = 0; i < parsed.values.size(); ++i) {
    const auto& [key, value] = parsed.values[i];
    const bool shape = key == "samples" || key == "length" || key == "seed";
    if (shape || value != parsed.source->info.fields[i].default_value)
      parsed.canonical.args.emplace_back(key, value);
  }
  const Kind kind = parsed.source->kind;
  if ((kind == Kind::kFile || kind == Kind::kJsonl) && parsed.value("file").empty()) {
    throw ConfigError(
        fmt::format("calibration set {}: file is missing. Write {}(file=PATH, ...).", call.name, call.name));
  }
  if (kind == Kind::kDataSet) data::find_split(*data::find_data_set(call.name), parsed.value("split"));
  return parsed;
}

data::TextRef find_source_text(const Parsed& parsed) {
  const std::string& file = parsed.value("file");
  const bool by_file = parsed.source->kind == Kind::kFile || parsed.source->kind == Kind::kJsonl;
  data::TextRef ref = data::find_text(by_file ? file : parsed.source->info.name, parsed.value("split"),
                                      parsed.value("join"), by_file ? "" : file);
  if (parsed.source->kind == Kind::kJsonl) ref.field = parsed.value("field");
  return ref;
}

bool has_text(const Parsed& parsed) {
  return parsed.source->kind != Kind::kTokens && parsed.source->kind != Kind::kAscii;
}

Samples draw(const Parsed& parsed, const tokenizers::Tokenizer& tokenizer) {
  SampleShape shape;
  shape.samples = std::stoll(parsed.value("samples"));
  shape.length = std::stoll(parsed.value("length"));
  shape.seed = std::stoll(parsed.value("seed"));
  shape.place = "calibration set " + parsed.canonical.print();
  if (parsed.source->kind == Kind::kTokens) return random_token_ids(tokenizer, shape);
  if (parsed.source->kind == Kind::kAscii) return random_ascii(tokenizer, shape);
  const data::TextRef ref = find_source_text(parsed);
  const std::string& sampler = parsed.value("sampler");
  if (sampler == "documents") return whole_documents(data::read_documents(ref), tokenizer, shape);
  if (sampler == "random_documents")
    return random_document_windows(data::read_documents(ref), tokenizer, shape);
  const std::vector<int32_t> ids = tokenizer.encode(data::read_text(ref));
  return sampler == "windows" ? consecutive_windows(ids, shape) : random_windows(ids, shape);
}

std::string hash_samples(const Samples& samples) {
  Hasher hasher;
  const auto put = [&hasher](int64_t value) { hasher.update(&value, sizeof value); };
  put(std::ssize(samples));
  for (const auto& sample : samples) {
    put(std::ssize(sample));
    hasher.update(sample.data(), sample.size() * sizeof(int32_t));
  }
  return hasher.hex();
}

}  // namespace

int64_t CalibrationSet::tokens() const {
  int64_t total = 0;
  for (const auto& sample : samples) total += std::ssize(sample);
  return total;
}

const std::vector<SourceInfo>& calibration_sources() {
  static const std::vector<SourceInfo> infos = [] {
    std::vector<SourceInfo> list;
    for (const Source& source : sources()) list.push_back(source.info);
    return list;
  }();
  return infos;
}

Call check_calibration(const std::string& spec) { return parse_spec(spec).canonical; }

std::string calibration_input_hash(const std::string& spec) {
  const Parsed parsed = parse_spec(spec);
  Hasher hasher;
  hasher.field("calibration/1");
  Call call = parsed.canonical;
  // Where a file lies is no part of its identity; what it holds is.
  std::erase_if(call.args, [](const auto& arg) { return arg.first == "file"; });
  hasher.field(call.print());
  hasher.field(has_text(parsed) ? find_source_text(parsed).sha256 : "");
  return hasher.hex();
}

CalibrationSet make_calibration_set(const std::string& spec, const tokenizers::Tokenizer& tokenizer) {
  const Parsed parsed = parse_spec(spec);
  CalibrationSet set;
  set.spec = parsed.canonical.print();
  set.samples = draw(parsed, tokenizer);
  set.hash = hash_samples(set.samples);
  return set;
}

}  // namespace qbench::calibration
