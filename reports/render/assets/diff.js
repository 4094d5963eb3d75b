// The page of a diff: how the two sides were made, then what came out.
const number = (v) => (typeof v === "string" ? null : v);

function differenceTable() {
  const list = data.scores.filter((s) => !s.identical);
  if (!list.length) return null;
  const lines = list.map((s) => {
    const column = { share: s.share, up: s.higher_is_better }, mark = stars(number(s.p_holm)), delta = number(s.delta);
    const tone = mark ? ((delta > 0) === column.up ? "good" : "bad") : null;
    return [s.cell, s.title, scoreText(column, number(s.a)), scoreText(column, number(s.b)), el("span", { class: tone }, deltaText(column, delta) + mark),
      s.interval95 ? deltaText(column, number(s.interval95[0])) + " … " + deltaText(column, number(s.interval95[1])) : "–", pText(number(s.p)), pText(number(s.p_holm)), s.flips ?? "–", s.test || "–"];
  });
  return section("scores", `Scores that differ (${list.length} of ${data.scores.length})`, "B against A, item by item. * p < 0.05, ** p < 0.01, *** p < 0.001, Holm-corrected within each score.",
    simpleTable(["cell", "score", "A", "B", "B − A", "95 % interval", "p", "p (Holm)", "flips", "test"], lines, [2, 3, 4, 5, 6, 7, 8]));
}

function flips() {
  const list = data.scores.filter((s) => s.flipped_items.length);
  if (!list.length) return null;
  const ids = (s, lost) => s.flipped_items.filter((f) => (f.was > f.is) === lost).map((f) => f.item).join(", ") || "–";
  return section("flips", "Flips", "Items whose answer changed.", ...list.map((s) => el("details", {}, el("summary", {}, `${s.cell}, ${s.title}: ${s.n10} lost, ${s.n01} won`),
    definitions([["right → wrong", ids(s, true)], ["wrong → right", ids(s, false)]]))));
}

function buildDiff() {
  const configuration = data.configuration.length ? simpleTable(["what", "A", "B"], data.configuration.map((c) => [c.what, c.a, c.b])) : el("p", {}, "Nothing: made in the same way.");
  const parts = [
    section("made", "What differs in how they were made", null, configuration), differenceTable(), flips(),
    data.artifacts.length && section("artifacts", "Artifacts that differ", "Content hashes of quantized weights and of per-item results.",
      simpleTable(["cell", "step", "A", "B"], data.artifacts.map((a) => [a.cell, a.role, el("code", {}, a.a.slice(0, 16)), el("code", {}, a.b.slice(0, 16))]))),
    data.one_sided.length && section("one-sided", "Only on one side", null,
      simpleTable(["only in", "cell", "score", "on the other side"], data.one_sided.map((o) => [o.side.toUpperCase(), o.cell, o.score || "(the whole cell)", o.reason || "absent"]))),
  ].filter(Boolean);
  document.getElementById("main").replaceChildren(definitions([["A", data.a], ["B", data.b]]), el("p", {}), el("p", { class: "verdict" + (data.same ? "" : " different") }, data.verdict), ...parts);
}

buildDiff();
