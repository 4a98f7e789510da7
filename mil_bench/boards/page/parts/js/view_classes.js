// Classes: a heat map of methods by classes, and confusion matrices with blocks per top class.

VIEWS.classes = {
  title: "Classes",
  draw(board) {
    const table = board.tables.classwise;
    if (!table) return [el("p", { class: "none" }, "No run of this board has finished.")];
    const levels = distinct(table, "level");
    const level = levels.includes(get("level")) ? get("level") : levels.at(-1);
    const sources = distinctWhere(table, { level }, "source");
    const source = sources.includes(get("source")) ? get("source") : sources[0];
    const metrics = table.columns.filter((c) => c.better === 1 && c.interval && c.unit !== "rank");
    const metric = metrics.find((c) => c.name === get("metric")) ?? metrics[0];
    const rows = rowsWhere(table, { level, source });
    return [
      el("div", { class: "tools" },
        placeChoosers(levels, level, sources, source),
        chooser("metric-classes", "Score", metrics.map((c) => [c.name, c.title]), metric.name,
          (name) => set({ metric: name }))),
      el("div", { class: "side-by-side" },
        el("section", {}, el("h2", {}, `${metric.title} per class`),
          classHeat(board, table, rows, level, metric)),
        confusionPanel(board, level, source)),
      el("h2", {}, "All numbers"),
      tableView(table, { rows }),
      extraTable(board, "localisation"),
    ];
  },
};

/** Choosers of the level and of the decision. */
function placeChoosers(levels, level, sources, source) {
  const title = { direct: "own head", summed: "sum of leaves", crm: "least risk" };
  return [
    segmented("level", "Level", levels.map((l) => [l, l]), level, (l) => set({ level: l })),
    sources.length > 1 ? segmented("source", "Decision", sources.map((s) => [s, title[s] ?? s]),
      source, (s) => set({ source: s })) : null];
}

function distinctWhere(table, texts, name) {
  return [...new Set(rowsWhere(table, texts).map((row) => cellAt(table, row, name)))];
}

/** Methods by classes; the shades span the numbers of the table. */
function classHeat(board, table, rows, level, metric) {
  const names = board.tree.classes[level];
  const blocks = board.tree.blocks[level];
  const at = new Map(rows.map((row) =>
    [`${table.methods[row]}\n${cellAt(table, row, "class")}`, row]));
  const methods = [...new Set(rows.map((row) => table.methods[row]))];
  const values = rows.map((row) => valueOf(cellAt(table, row, metric.name)));
  const shade = linear(extent(values), [0.04, 1]);
  const starts = (i) => (i > 0 && blocks[i] !== blocks[i - 1] ? "block-left" : "");
  const chosen = chosenMethods(board, methods)[0];
  const head = el("tr", {}, el("td", { class: "corner" }, metric.title),
    names.map((name, i) => el("th", { scope: "col", class: starts(i) || null,
      title: board.tree.titles[name] ?? null }, name,
    el("span", { class: "interval" }, support(table, rows, name)))));
  const body = methods.map((method, m) => el("tr", { class: method === chosen ? "chosen" : null },
    el("th", { scope: "row" }, el("button", { type: "button", class: "plain", id: `confusion-${m}`,
      title: "Show its confusion matrix", onclick: () => set({ a: method }) }, method)),
    names.map((name, i) =>
      heatCell(table, at.get(`${method}\n${name}`), metric, shade, starts(i)))));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Heat map" },
    el("table", { class: "matrix heatmap" },
      el("caption", { class: "unseen" }, `${metric.title} per class, ${level} level`),
      el("thead", {}, level === board.tree.levels[0] ? null
        : blockHeader(board.tree.classes[board.tree.levels[0]], blocks), head),
      el("tbody", {}, body)));
}

function support(table, rows, name) {
  const row = rows.find((r) => cellAt(table, r, "class") === name);
  const n = row === undefined ? null : valueOf(cellAt(table, row, "support"));
  return n === null ? "" : `n = ${n}`;
}

function heatCell(table, row, metric, shade, starts) {
  const cell = row === undefined ? null : cellAt(table, row, metric.name);
  if (!isNumber(cell) || cell[0] == null) {
    const why = isNumber(cell) ? details(cell).note || "undefined" : "no head for this level";
    return el("td", { class: `heat empty ${starts}`, title: why }, "–");
  }
  const { low, high, mark } = details(cell);
  const say = (v) => shown(v, metric.unit, metric.percent);
  return el("td", { class: `heat right ${starts}`, title: spoken(table, metric.name, row),
    style: { "--heat": heat(shade(cell[0]) ** 2) } },
  el("span", { class: `value ${mark}` }, say(cell[0])),
  low === null || get("intervals") === "none" ? null
    : el("span", { class: "interval" }, `[${say(low)}, ${say(high)}]`));
}

/** The methods whose confusion matrices are shown: those in the address, or the first. */
function chosenMethods(board, methods) {
  const first = methods.includes(get("a")) ? get("a") : methods[0];
  const second = methods.includes(get("b")) && get("b") !== first ? get("b") : "";
  return [first, second];
}

function confusionPanel(board, level, source) {
  const entries = board.confusions.filter((e) => e.level === level && e.source === source);
  if (!entries.length) return null;
  const methods = entries.map((e) => e.method);
  const [first, second] = chosenMethods(board, methods);
  const options = methods.map((m) => [m, m]);
  const shownNow = [first, second].map((m) => entries.find((e) => e.method === m)).filter(Boolean);
  return el("section", { class: shownNow.length > 1 ? null : "narrow" },
    el("h2", {}, "Confusion"),
    el("div", { class: "tools" },
      chooser("confusion-a", "Method", options, first, (v) => set({ a: v })),
      chooser("confusion-b", "compared with",
        [["", "none"], ...options.filter(([v]) => v !== first)], second, (v) => set({ b: v })),
      el("span", { class: "legend" }, el("i", { class: "key right" }), "correct",
        el("i", { class: "key near" }), "wrong, same top-level class",
        el("i", { class: "key far" }), "wrong top-level class")),
    el("div", { class: "side-by-side" }, shownNow.map((e) => confusionTable(board, e))),
    el("p", { class: "note" }, "Percent of the slides of a true class, with counts below, summed "
      + "over folds and seeds. Gaps separate the classes of the top level."));
}
